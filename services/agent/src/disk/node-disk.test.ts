import assert from 'node:assert/strict'
import { chown, lstat, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDisk } from './node-disk.ts'

/** nobody, and any number where this test's own user may not give files away. */
const isRoot = process.getuid?.() === 0
const OWNER = isRoot ? 65_534 : (process.getuid?.() ?? 0)

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'lvsfleet-disk-'))
  try {
    if (isRoot) await chown(folder, OWNER, OWNER)
    await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test("what root writes into the service's folder is the service's, files and folders", () =>
  withFolder(async (folder) => {
    const disk = await openDisk(folder, ['slot-a'])
    await disk.write('a.tmp', 'text', 0o600)
    await disk.rename('a.tmp', 'a')
    await disk.writeLoosely('b', 'text', 0o600)
    for (const name of ['a', 'b', 'slot-a']) {
      const { uid, mode } = await lstat(join(folder, name))
      assert.equal(uid, OWNER, name)
      assert.equal(mode & 0o077, 0, name)
    }
  }))

test('a link that the owner of the folder made leads no write elsewhere', () =>
  withFolder(async (folder) => {
    const elsewhere = join(folder, 'elsewhere')
    await writeFile(elsewhere, 'precious')
    await symlink(elsewhere, join(folder, 'a.tmp'))
    const disk = await openDisk(folder)
    await assert.rejects(disk.write('a.tmp', 'text', 0o600), { code: 'ELOOP' })
    await assert.rejects(disk.writeLoosely('a.tmp', 'text', 0o600), { code: 'ELOOP' })
    assert.equal(await readFile(elsewhere, 'utf8'), 'precious')
  }))
