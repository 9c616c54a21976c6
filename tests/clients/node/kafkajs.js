// kafkajs against a broker: one line of JSON a scenario.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'

import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'

const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = kafkajs
CompressionCodecs[CompressionTypes.Snappy] = snappy

const PARTITIONS = 4
const PATIENCE_MS = 45_000
// How long a member that its parent forgot goes on.
const MEMBER_LIVES_MS = 60_000

const [bootstrap, mode, ...rest] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50 } })

const fresh = (what) => `${what}-${randomUUID().slice(0, 12)}`
const value = (number) => `value ${number} 中文 ${'x'.repeat(50)}`
const values = (count, first = 0) => Array.from({ length: count }, (_, at) => value(first + at))
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function check(condition, what) {
  if (!condition) throw new Error(what)
}

function equal(found, wanted) {
  check(JSON.stringify(found) === JSON.stringify(wanted), `${found.length} other values: ${found.slice(0, 3)}`)
}

async function until(what, condition) {
  const end = Date.now() + PATIENCE_MS
  while (!(await condition())) {
    check(Date.now() < end, `never: ${what}`)
    await sleep(50)
  }
}

async function using(client, act) {
  await client.connect()
  try {
    return await act(client)
  } finally {
    await client.disconnect()
  }
}

async function topicOf(numPartitions = 1) {
  const topic = fresh('kafkajs')
  await using(kafka.admin(), (admin) => admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: true }))
  return topic
}

function produce(topic, sent, { compression, options, message = () => ({ partition: 0 }) } = {}) {
  const messages = sent.map((value, number) => ({ value, ...message(number) }))
  return using(kafka.producer(options), (producer) => producer.send({ topic, messages, compression }))
}

/** Reads in a group until there are `count` records and returns them by offset. */
async function read(topic, count, { groupId = fresh('g'), started, ...options } = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500, ...options })
  const got = []
  return using(consumer, async () => {
    await consumer.subscribe({ topic, fromBeginning: true })
    const eachMessage = async ({ partition, message }) => {
      const row = { partition, offset: message.offset, value: message.value.toString() }
      // Nothing is committed, so what was read before the partitions changed hands comes again.
      const known = got.some(({ partition, offset }) => partition === row.partition && offset === row.offset)
      if (got.length < count && !known) got.push(row)
    }
    await consumer.run({ autoCommit: false, eachMessage })
    await started?.(consumer)
    await until(`${count} records`, () => got.length >= count)
    if (options.commit) {
      const next = got.reduce((end, { offset }) => (BigInt(offset) >= end ? BigInt(offset) + 1n : end), 0n)
      await consumer.commitOffsets([{ topic, partition: 0, offset: next.toString() }])
    }
    return got.map(({ value }) => value)
  })
}

const codec = (compression) => async () => {
  const topic = await topicOf()
  await produce(topic, values(200), { compression })
  equal(await read(topic, 200), values(200))
}

async function idempotent() {
  const topic = await topicOf()
  await using(kafka.producer({ idempotent: true }), async (producer) => {
    for (let first = 0; first < 500; first += 20) {
      await producer.send({ topic, messages: values(20, first).map((value) => ({ value, partition: 0 })) })
    }
  })
  equal(await read(topic, 500), values(500))
}

async function transactions() {
  const topic = await topicOf()
  const options = { transactionalId: fresh('txn'), idempotent: true, maxInFlightRequests: 1 }
  await using(kafka.producer(options), async (producer) => {
    for (const [first, end] of [[0, 'commit'], [10, 'abort'], [20, 'commit']]) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: values(10, first).map((value) => ({ value, partition: 0 })) })
      await transaction[end]()
    }
  })
  equal(await read(topic, 20, { readUncommitted: false }), [...values(10), ...values(10, 20)])
}

async function memberLost() {
  const [topic, groupId] = [await topicOf(PARTITIONS), fresh('g')]
  const program = fileURLToPath(import.meta.url)
  const member = spawn(process.execPath, [program, bootstrap, 'member', topic, groupId], { stdio: ['ignore', 'pipe', 'inherit'] })
  let assigned = 0
  member.stdout.on('data', (line) => (assigned = Number(line)))
  const started = async () => {
    // Alone it has all, beside this one half of them.
    await until('the member has its part', () => assigned === PARTITIONS / 2)
    const exited = new Promise((resolve) => member.on('exit', resolve))
    member.kill('SIGKILL')
    await exited
    await produce(topic, values(100), { message: (number) => ({ partition: number % PARTITIONS }) })
  }
  const got = await read(topic, 100, { groupId, started })
  equal(got.sort(), values(100).sort())
}

async function member(topic, groupId) {
  setTimeout(() => process.exit(1), MEMBER_LIVES_MS)
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500 })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => console.log(payload.memberAssignment[topic]?.length ?? 0))
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: async () => {} })
}

async function commitAndResume() {
  const [topic, groupId] = [await topicOf(), fresh('g')]
  await produce(topic, values(100))
  equal(await read(topic, 30, { groupId, commit: true }), values(30))
  equal(await read(topic, 70, { groupId }), values(70, 30))
}

async function seekByTime() {
  const topic = await topicOf()
  await produce(topic, values(10), { message: (number) => ({ partition: 0, timestamp: String(1_000_000 + 1000 * number) }) })
  const at = (time) => using(kafka.admin(), (admin) => admin.fetchTopicOffsetsByTimestamp(topic, time))
  const [{ offset }] = await at(1_004_500)
  check(offset === '5', `offset ${offset}`)
  // This client turns "nothing there" into the end.
  check((await at(9_000_000))[0].offset === '10', 'after all')
  const started = async (consumer) => consumer.seek({ topic, partition: 0, offset })
  const got = await read(topic, 5, { started, fromBeginning: false })
  check(got.includes(value(5)), `${got}`)
}

async function topics() {
  const topic = await topicOf(3)
  await using(kafka.admin(), async (admin) => {
    const described = await admin.fetchTopicMetadata({ topics: [topic] })
    check(described.topics[0].partitions.length === 3, 'partitions')
    check(!(await admin.createTopics({ topics: [{ topic }] })), 'created twice')
    await admin.deleteTopics({ topics: [topic] })
    await until('deleted', async () => !(await admin.listTopics()).includes(topic))
  })
}

async function partitions() {
  const topic = await topicOf(1)
  await using(kafka.admin(), async (admin) => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    const count = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length
    await until('three partitions', async () => (await count()) === 3)
  })
}

async function setting(admin, topic, name) {
  const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
  const { resources: [row] } = await admin.describeConfigs({ resources, includeSynonyms: false })
  return row.configEntries.find(({ configName }) => configName === name)?.configValue
}

async function readSettings() {
  const topic = await topicOf()
  await using(kafka.admin(), async (admin) => check((await setting(admin, topic, 'cleanup.policy')) === 'delete', 'policy'))
}

async function changeSettings() {
  const topic = await topicOf()
  await using(kafka.admin(), async (admin) => {
    const configEntries = [{ name: 'retention.ms', value: '3600000' }]
    await admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }] })
    await until('changed', async () => (await setting(admin, topic, 'retention.ms')) === '3600000')
  })
}

async function groups() {
  const [topic, groupId] = [await topicOf(), fresh('g')]
  await produce(topic, values(10))
  await using(kafka.admin(), async (admin) => {
    const started = async () => {
      await until('a stable group', async () => (await admin.describeGroups([groupId])).groups[0].state === 'Stable')
      check((await admin.describeGroups([groupId])).groups[0].members.length === 1, 'members')
    }
    await read(topic, 10, { groupId, started, commit: true })
    const listed = async () => (await admin.listGroups()).groups.some((row) => row.groupId === groupId)
    check(await listed(), 'not listed')
    await admin.deleteGroups([groupId])
    check(!(await listed()), 'still listed')
  })
}

async function offsets() {
  const [topic, groupId] = [await topicOf(), fresh('g')]
  await produce(topic, values(10))
  await using(kafka.admin(), async (admin) => {
    const [ends] = await admin.fetchTopicOffsets(topic)
    check(ends.low === '0' && ends.high === '10', JSON.stringify(ends))
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '4' }] })
    const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] })
    check(committed.partitions[0].offset === '4', JSON.stringify(committed))
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '3' }] })
    check((await admin.fetchTopicOffsets(topic))[0].low === '3', 'the start')
  })
}

const scenarios = {
  'codec none': codec(CompressionTypes.None),
  'codec gzip': codec(CompressionTypes.GZIP),
  'codec snappy': codec(CompressionTypes.Snappy),
  'codec lz4': null,
  'codec zstd': null,
  'idempotent producer': idempotent,
  transactions,
  'group, a member is killed': memberLost,
  'commit and resume': commitAndResume,
  'seek by time': seekByTime,
  'admin: topics': topics,
  'admin: partitions': partitions,
  'admin: read settings': readSettings,
  'admin: change settings': changeSettings,
  'admin: groups': groups,
  'admin: offsets': offsets,
}

if (mode === 'member') {
  await member(...rest)
} else {
  for (const [scenario, run] of Object.entries(scenarios)) {
    let result = run ? 'works' : 'lacks'
    try {
      await run?.()
    } catch (error) {
      result = 'fails'
      console.error(`--- ${scenario}`, error)
    }
    console.log(JSON.stringify({ scenario, result }))
  }
  process.exit(0)
}
