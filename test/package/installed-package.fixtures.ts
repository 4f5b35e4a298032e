/** The package as a user gets it: packed, and installed in an empty folder. */
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const STEP_TIMEOUT_MS = 60_000

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export class InstalledPackage {
  readonly folder: string
  /** Paths within the tarball. */
  readonly files: readonly string[]
  /** False where no registry answered, and the dependencies of this repository were linked instead. */
  readonly byRegistry: boolean

  private constructor(folder: string, files: readonly string[], byRegistry: boolean) {
    this.folder = folder
    this.files = files
    this.byRegistry = byRegistry
  }

  /** Packs what is in `dist` now. Where no registry answers, the dependencies of this repository are linked. */
  static async make(): Promise<InstalledPackage> {
    const folder = await mkdtemp(join(tmpdir(), 'webmesh-package-'))
    const packed = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], ROOT)
    if (packed.code !== 0) throw new Error(`npm pack failed:\n${packed.stderr}`)
    // reason: the form of what npm prints.
    const [tarball] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }]
    await writeFile(join(folder, 'package.json'), '{ "name": "a-user", "private": true, "type": "module" }')
    const install = await run('npm', ['install', '--prefer-offline', tarball.filename], folder)
    const files = tarball.files.map(file => file.path)
    const installed = new InstalledPackage(folder, files, install.code === 0)
    if (!installed.byRegistry) await installed.unpackAndLink(tarball.filename)
    return installed
  }

  async write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(this.folder, path)), { recursive: true })
    await writeFile(join(this.folder, path), text)
  }

  read(path: string): Promise<string> {
    return readFile(join(this.folder, path), 'utf8')
  }

  run(program: string, ...argv: string[]): Promise<Ran> {
    return run(program, argv, this.folder)
  }

  /** Runs a JavaScript program in the folder. */
  node(...argv: string[]): Promise<Ran> {
    return run(process.execPath, argv, this.folder)
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true })
  }

  private async unpackAndLink(tarball: string): Promise<void> {
    const place = join(this.folder, 'node_modules', 'webmesh')
    await mkdir(place, { recursive: true })
    const unpacked = await run('tar', ['-xzf', tarball, '-C', place, '--strip-components=1'], this.folder)
    if (unpacked.code !== 0) throw new Error(`tar failed:\n${unpacked.stderr}`)
    await symlink(join(ROOT, 'node_modules'), join(place, 'node_modules'))
    const bin = join(this.folder, 'node_modules', '.bin')
    await mkdir(bin)
    await chmod(join(place, 'dist', 'cli', 'webmesh.js'), 0o755)
    await symlink(join('..', 'webmesh', 'dist', 'cli', 'webmesh.js'), join(bin, 'webmesh'))
  }
}

/** Runs a program to its end; its exit code is no error. */
async function run(program: string, argv: readonly string[], folder: string): Promise<Ran> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, argv, { cwd: folder, timeout: STEP_TIMEOUT_MS })
    return { code: 0, stdout, stderr }
  } catch (error) {
    // reason: what execFile rejects with; a program that cannot be started has no exit code.
    const { code, stdout, stderr, message } = error as Error & Partial<Ran>
    return { code: typeof code === 'number' ? code : 1, stdout: stdout ?? '', stderr: stderr || message }
  }
}

/** The packages in a lock file that are not there for development only; the optional ones are builds for single platforms. */
export async function packagesInLock(path: string, withOptional = true): Promise<string[]> {
  // reason: the form of a lock file, version 3.
  const { packages } = JSON.parse(await readFile(path, 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>
  }
  return Object.keys(packages)
    .filter(place => place !== '' && packages[place]?.dev !== true)
    .filter(place => withOptional || packages[place]?.optional !== true)
    .map(place => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length))
    .sort()
}
