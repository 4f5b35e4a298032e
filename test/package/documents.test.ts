/** The documents: what they point to is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from './installed-package.fixtures.ts'

const DOCUMENTS = [
  'README.md',
  'ARCHITECTURE.md',
  ...['docs', 'spec'].flatMap(folder =>
    readdirSync(join(ROOT, folder))
      .filter(name => name.endsWith('.md'))
      .map(name => join(folder, name)),
  ),
]

describe.each(DOCUMENTS)('%s', document => {
  const text = readFileSync(join(ROOT, document), 'utf8')

  it('links to documents and folders that are there', () => {
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(match => match[1] ?? '')
    expect(links.filter(link => !existsSync(join(ROOT, dirname(document), link)))).toEqual([])
  })

  it('names files of the source that are there', () => {
    const paths = [...text.matchAll(/`((?:src|test|bench|examples)\/[\w./-]+)`/g)].map(match => match[1] ?? '')
    expect(paths.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
  })
})
