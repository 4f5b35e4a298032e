import { describe, expect, it } from 'vitest'
import {
  mappingCall,
  readDescription,
  readSearchAnswer,
  readSoapAnswer,
  searches,
  soapBody,
  textOf,
} from './upnp-igd.ts'

const GATEWAY = '10.0.0.1'

function found(location: string, st = 'urn:schemas-upnp-org:device:InternetGatewayDevice:1'): string {
  return ['HTTP/1.1 200 OK', 'Cache-Control: max-age=120', `st:${st}`, `Location:  ${location}`, '', ''].join('\r\n')
}

function service(type: string, url: string): string {
  const parts = `<serviceType>${type}</serviceType><serviceId>x</serviceId><controlURL>${url}</controlURL>`
  return `<service>\n${parts}</service>`
}

describe('the search for a gateway', () => {
  it('asks for both versions', () => {
    expect(searches()).toHaveLength(2)
    expect(searches()[0]).toMatch(/^M-SEARCH \* HTTP\/1\.1\r\nHOST: 239\.255\.255\.250:1900\r\n.*\r\n\r\n$/s)
  })

  it('takes a description from the gateway itself', () => {
    expect(readSearchAnswer(found('http://10.0.0.1:5000/root.xml'), GATEWAY)?.href).toBe(
      'http://10.0.0.1:5000/root.xml',
    )
  })

  it.each([
    ['of another host', found('http://10.0.0.9:5000/root.xml')],
    ['of a name', found('http://router.example/root.xml')],
    ['of this machine', found('http://127.0.0.1:80/')],
    ['with a password', found('http://10.0.0.1@evil.example/')],
    ['with a name before', found('http://a:b@10.0.0.1/')],
    ['by another protocol', found('https://10.0.0.1/root.xml')],
    ['in a file', found('file:///etc/passwd')],
    ['nowhere', found('')],
    ['of another device', found('http://10.0.0.1/', 'urn:schemas-upnp-org:device:MediaServer:1')],
    ['in an announcement', found('http://10.0.0.1/').replace('HTTP/1.1 200 OK', 'NOTIFY * HTTP/1.1')],
    ['in nothing', ''],
  ])('takes none %s', (_, text) => {
    expect(readSearchAnswer(text, GATEWAY)).toBeNull()
  })
})

describe('the description of a gateway', () => {
  const from = new URL('http://10.0.0.1:5000/root.xml')

  it('names where connections are controlled, the newest version first', () => {
    const text = `<root><device>${service('urn:schemas-upnp-org:service:WANPPPConnection:1', '/ppp')}
      ${service('urn:schemas-upnp-org:service:WANIPConnection:1', 'ctl/ip1')}
      ${service('urn:schemas-upnp-org:service:Layer3Forwarding:1', '/l3f')}
      ${service('urn:schemas-upnp-org:service:WANIPConnection:2', 'http://10.0.0.1:5001/ip2')}</device></root>`
    expect(readDescription(text, from).map(({ url }) => url.href)).toEqual([
      'http://10.0.0.1:5001/ip2',
      'http://10.0.0.1:5000/ctl/ip1',
      'http://10.0.0.1:5000/ppp',
    ])
  })

  it('sends nobody to another host', () => {
    const type = 'urn:schemas-upnp-org:service:WANIPConnection:1'
    expect(readDescription(service(type, 'http://10.0.0.9/ctl'), from)).toEqual([])
    expect(readDescription(`<URLBase>http://10.0.0.9/</URLBase>${service(type, '/ctl')}`, from)).toEqual([])
    expect(readDescription(`<URLBase>http://10.0.0.1:99/</URLBase>${service(type, '/ctl')}`, from)).toHaveLength(1)
  })

  it.each([
    ['<service>'.repeat(14_000)],
    ['<'.repeat(131_000)],
    [`${'<controlURL '.repeat(10_000)}>`],
    [`<service>${'<a:serviceType x="'.repeat(7_000)}`],
  ])('is read in no time, however it is made', text => {
    const startedAt = performance.now()
    expect(readDescription(text, from)).toEqual([])
    expect(performance.now() - startedAt).toBeLessThan(1_000)
  })
})

describe('a call', () => {
  it('is the XML that gateways expect', () => {
    const [action, values] = mappingCall({ transport: 'tcp', port: 4100 }, '10.0.0.2', 4200, 7200)
    const body = soapBody('urn:schemas-upnp-org:service:WANIPConnection:1', action, values)
    expect(body).toContain('<u:AddPortMapping xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1">')
    expect(body).toContain('<NewExternalPort>4200</NewExternalPort><NewProtocol>TCP</NewProtocol>')
    expect(body).toContain('<NewInternalPort>4100</NewInternalPort><NewInternalClient>10.0.0.2</NewInternalClient>')
    expect(body).toContain('<NewLeaseDuration>7200</NewLeaseDuration></u:AddPortMapping></s:Body></s:Envelope>')
  })

  it('is refused with a code and a reason', () => {
    const text = '<s:Fault><detail><UPnPError><errorCode>718</errorCode><errorDescription>Conflict</errorDescription>'
    expect(readSoapAnswer(false, text)).toEqual({ kind: 'refused', code: 718, why: 'Conflict' })
    expect(readSoapAnswer(false, '')).toEqual({ kind: 'refused', code: null, why: 'error without a code' })
  })

  it('tells values in whatever name space', () => {
    expect(
      textOf('<a><n:NewExternalIPAddress xmlns:n="x"> 5.5.5.5 </n:NewExternalIPAddress>', 'NewExternalIPAddress'),
    ).toBe('5.5.5.5')
    expect(textOf('<NewExternalIPAddress/>', 'NewExternalIPAddress')).toBe('')
  })
})
