import { expect, it } from 'vitest'
import { gateway6OfProc, gateway6OfTable, gatewayOfProc, gatewayOfTable } from './default-gateway.node.ts'

const HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n'

it('is that of the least metric among those of Linux', () => {
  const lines = [
    'eth0\t0000FEA9\t00000000\t0001\t0\t0\t1000\t0000FFFF\t0\t0\t0',
    'wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0',
    'eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0',
    'tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0',
    'down0\t00000000\t0500000A\t0002\t0\t0\t1\t00000000\t0\t0\t0',
    'half0\t00000000\t0700000A\t0003\t0\t0\t0\t00000080\t0\t0\t0',
  ]
  expect(gatewayOfProc(`${HEAD}${lines.join('\n')}\n`)).toBe('10.0.0.1')
})

const ZERO = '0'.repeat(32)
const ROUTER = 'fe80000000000000000000000000000'

it('by IPv6 is that of the least metric too, with the interface that leads to it', () => {
  const lines = [
    `20010db8000000000000000000000003 80 ${ZERO} 00 ${ZERO} 00000100 00000001 00000000 00000001      eth`,
    `${ZERO} 00 ${ZERO} 00 ${ROUTER}1 00000400 00000001 00000000 00000003      eth0`,
    `${ZERO} 00 ${ZERO} 00 ${ROUTER}2 00000258 00000001 00000000 00450003    wlan0`,
    `${ZERO} 00 ${ZERO} 00 ${ROUTER}3 00000001 00000001 00000000 00000002    down0`,
    `${ZERO} 01 ${ZERO} 00 ${ROUTER}4 00000001 00000001 00000000 00000003    half0`,
    `${ZERO} 00 ${ZERO} 00 ${ZERO} ffffffff 00000001 00000000 00200200       lo`,
  ]
  expect(gateway6OfProc(`${lines.join('\n')}\n`)).toBe('fe80:0:0:0:0:0:0:2%wlan0')
  expect(gateway6OfProc(lines[5]!)).toBeNull()
  expect(gateway6OfProc('')).toBeNull()
})

it('is none without a default route', () => {
  expect(gatewayOfProc(HEAD)).toBeNull()
  expect(gatewayOfProc('')).toBeNull()
  expect(gatewayOfTable('')).toBeNull()
  expect(gatewayOfTable('default            link#12            UCSIg           utun3')).toBeNull()
})

it('is in the tables of macOS and Windows', () => {
  const mac = `Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            192.168.1.1        UGScg                 en0
127                127.0.0.1          UCS                   lo0

Internet6:
default                                 fe80::%utun1                            UGcIg               utun1
default                                 fe80::1%en0                             UGcg                  en0`
  expect(gatewayOfTable(mac)).toBe('192.168.1.1')
  expect(gateway6OfTable(mac)).toBe('fe80::1%en0')
  const windows = `IPv4 Route Table
===========================================================================
Active Routes:
Network Destination        Netmask          Gateway       Interface  Metric
          0.0.0.0          0.0.0.0      192.168.0.1     192.168.0.17     25
        127.0.0.0        255.0.0.0         On-link         127.0.0.1    331

IPv6 Route Table
===========================================================================
Active Routes:
 If Metric Network Destination      Gateway
 12    281 ::/0                     fe80::a5b:eff:fe12:3456
  1    331 ::1/128                  On-link`
  expect(gatewayOfTable(windows)).toBe('192.168.0.1')
  expect(gateway6OfTable(windows)).toBe('fe80::a5b:eff:fe12:3456%12')
})
