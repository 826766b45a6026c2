import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Level } from '@lvs-fleet/contract'
import { createFakeDisk } from '../../../../test/fakes/fake-disk.ts'
import { createMemoryFile, loadMemory } from './memory-file.ts'
import type { Memory } from './weigh.ts'

const MEMORY: ReadonlyMap<string, Memory> = new Map([
  [
    'tcp/10.1.0.100:80',
    {
      shares: {
        byLevel: new Map<Level, number>([
          [0, 7_000],
          ['sorry', 3_000],
        ]),
        sinceWallMs: new Map<Level, number>([
          [0, 1],
          ['sorry', 2],
        ]),
        changedMs: 5,
        isMoving: true,
      },
      members: new Map([
        [
          '10.2.0.1:80',
          {
            isUp: false,
            isServing: false,
            rampFromMs: null,
            since: { health: { value: 0, sinceWallMs: 3 } },
          },
        ],
      ]),
    },
  ],
  ['udp/10.1.0.100:53', { shares: undefined, members: new Map() }],
])

test('what is saved is what a later life of the same boot reads', async () => {
  const disk = createFakeDisk()
  await createMemoryFile(disk, 'boot-1').save(MEMORY)
  assert.deepEqual(await loadMemory(disk, 'boot-1'), MEMORY)
  assert.equal((await loadMemory(disk, 'boot-2')).size, 0, 'its times are of another clock')
})

test('nothing is written while nothing changes, and nothing to remember is no file', async () => {
  const disk = createFakeDisk()
  const file = createMemoryFile(disk, 'boot-1')
  await file.save(new Map())
  assert.equal(disk.effectCount, 0)
  await file.save(MEMORY)
  const effects = disk.effectCount
  await file.save(MEMORY)
  assert.equal(disk.effectCount, effects)
  await file.save(new Map())
  assert.equal((await loadMemory(disk, 'boot-1')).size, 0)
})

test('a damaged file is no file', async () => {
  const disk = createFakeDisk()
  await createMemoryFile(disk, 'boot-1').save(MEMORY)
  const [name = '', text = ''] = [...disk.files][0] ?? []
  disk.files.set(name, text.replace('7000', '9000'))
  assert.equal((await loadMemory(disk, 'boot-1')).size, 0)
})
