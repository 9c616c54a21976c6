"""aiokafka: the client for asyncio."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

import scenarios
from scenarios import PARTITIONS, PATIENCE_S, SESSION_MS, check, deadline, fresh, values

BOOTSTRAP = sys.argv[1]


async def admin(act):
    client = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await client.start()
    try:
        return await act(client)
    finally:
        await client.close()


async def topic_of(partitions=1):
    name = fresh("aiokafka")
    await admin(lambda client: client.create_topics([NewTopic(name, partitions, 1)]))
    return name


async def produce(topic, sent, partition=0, timestamps=None, **settings):
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **settings) as producer:
        sending = []
        for number, value in enumerate(sent):
            where = partition if partition is not None else number % PARTITIONS
            time_ms = timestamps[number] if timestamps else None
            sending.append(await producer.send(topic, value, partition=where, timestamp_ms=time_ms))
        await asyncio.gather(*sending)


def consumer(group=None, **settings):
    return AIOKafkaConsumer(
        bootstrap_servers=BOOTSTRAP,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=500,
        metadata_max_age_ms=2000,
        **settings,
    )


async def polled(reader, wait_ms=200, at_most=None):
    rows = await reader.getmany(timeout_ms=wait_ms, max_records=at_most)
    return [row.value for rows in rows.values() for row in rows]


async def read(reader, count):
    got = []
    while len(got) < count:
        got += await polled(reader, at_most=count - len(got))
    return got


async def read_back(topic, wanted, **settings):
    async with consumer(**settings) as reader:
        reader.assign([TopicPartition(topic, 0)])
        check(await read(reader, len(wanted)) == wanted, "other values")
        check(not await polled(reader, 1000), "more records")


def codec(name):
    async def scenario():
        topic = await topic_of()
        await produce(topic, values(200), compression_type=name, linger_ms=5)
        await read_back(topic, values(200))

    return scenario


async def idempotent():
    topic = await topic_of()
    await produce(topic, values(500), enable_idempotence=True, max_batch_size=2000)
    await read_back(topic, values(500))


async def transactions():
    topic, source, group = await topic_of(), await topic_of(), fresh("g")
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=fresh("txn")) as producer:
        for number, keep in enumerate([True, False, True]):
            await producer.begin_transaction()
            for value in values(5, 5 * number):
                await producer.send_and_wait(topic, value, partition=0)
            if keep:
                await producer.send_offsets_to_transaction({TopicPartition(source, 0): 5 * number}, group)
                await producer.commit_transaction()
            else:
                await producer.abort_transaction()
    await read_back(topic, values(5) + values(5, 10), isolation_level="read_committed")
    committed = await admin(lambda client: client.list_consumer_group_offsets(group))
    check(committed[TopicPartition(source, 0)].offset == 10, committed)


class Assigned(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        pass

    async def on_partitions_assigned(self, assigned):
        scenarios.tell_assigned(len(assigned))


async def member_lost():
    topic, group = await topic_of(PARTITIONS), fresh("g")
    reader = consumer(group)
    reader.subscribe([topic])
    async with reader:
        member = scenarios.Member(__file__, BOOTSTRAP, topic, group)
        left = deadline()
        while member.assigned != PARTITIONS // 2 and left():
            await polled(reader, 100)
        member.kill_9()
        await produce(topic, values(100), partition=None)
        # Nothing was committed, so what was read before the partitions changed hands comes again.
        got = set()
        while len(got) < 100:
            got |= set(await polled(reader))
        check(got == set(values(100)), "other values")
        check(len(reader.assignment()) == PARTITIONS, "not all partitions")


async def member(topic, group):
    reader = consumer(group)
    reader.subscribe([topic], listener=Assigned())
    async with reader, asyncio.timeout(scenarios.MEMBER_LIVES_S):
        while True:
            await polled(reader)


async def commit_and_resume():
    topic, group = await topic_of(), fresh("g")
    await produce(topic, values(100))
    for first, count in [(0, 30), (30, 70)]:
        reader = consumer(group)
        reader.subscribe([topic])
        async with reader:
            check(await read(reader, count) == values(count, first), "other values")
            await reader.commit()


async def seek_by_time():
    topic = await topic_of()
    await produce(topic, values(10), timestamps=[1_000_000 + 1000 * number for number in range(10)])
    row = TopicPartition(topic, 0)
    async with consumer() as reader:
        reader.assign([row])
        offset = (await reader.offsets_for_times({row: 1_004_500}))[row].offset
        check(offset == 5, offset)
        check((await reader.offsets_for_times({row: 9_000_000}))[row] is None, "after all")
        ends = (await reader.beginning_offsets([row]), await reader.end_offsets([row]))
        check(ends == ({row: 0}, {row: 10}), ends)
        reader.seek(row, offset)
        check(await read(reader, 5) == values(5, 5), "other values")


async def topics():
    topic = await topic_of(3)
    described = await admin(lambda client: client.describe_topics([topic]))
    check(len(described[0]["partitions"]) == 3, described)
    again = await admin(lambda client: client.create_topics([NewTopic(topic, 3, 1)]))
    check(again.topic_errors[0][1] == 36, again)
    await admin(lambda client: client.delete_topics([topic]))
    while topic in await admin(lambda client: client.list_topics()):
        await asyncio.sleep(0.1)


async def partitions():
    topic = await topic_of(1)
    await admin(lambda client: client.create_partitions({topic: NewPartitions(3)}))
    while len((await admin(lambda client: client.describe_topics([topic])))[0]["partitions"]) != 3:
        await asyncio.sleep(0.1)


async def setting(topic, name):
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    answers = await admin(lambda client: client.describe_configs([resource]))
    rows = answers[0].resources[0][4]
    return next(row[1] for row in rows if row[0] == name)


async def read_settings():
    policy = await setting(await topic_of(), "cleanup.policy")
    check(policy == "delete", policy)


async def change_settings():
    topic = await topic_of()
    change = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "3600000"})
    await admin(lambda client: client.alter_configs([change]))
    while await setting(topic, "retention.ms") != "3600000":
        await asyncio.sleep(0.1)


async def groups():
    topic, group = await topic_of(), fresh("g")
    await produce(topic, values(10))
    reader = consumer(group)
    reader.subscribe([topic])
    async with reader:
        await read(reader, 10)
        await reader.commit()
        described = (await admin(lambda client: client.describe_consumer_groups([group])))[0].groups[0]
        check(described[2] == "Stable" and len(described[5]) == 1, described)
    listed = await admin(lambda client: client.list_consumer_groups())
    check(group in [row[0] for row in listed], listed)


async def offsets():
    topic, group = await topic_of(), fresh("g")
    row = TopicPartition(topic, 0)
    await produce(topic, values(10))
    async with consumer(group) as reader:
        reader.assign([row])
        await reader.commit({row: 4})
    found = await admin(lambda client: client.list_consumer_group_offsets(group))
    check(found[row].offset == 4, found)
    from aiokafka.admin import RecordsToDelete

    await admin(lambda client: client.delete_records({row: RecordsToDelete(before_offset=3)}))
    async with consumer() as reader:
        check(await reader.beginning_offsets([row]) == {row: 3}, "the start")


def within_patience(scenario):
    return lambda: asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))


if len(sys.argv) > 2:
    asyncio.run(member(sys.argv[3], sys.argv[4]))
else:
    every = {
        **{f"codec {name}": codec(None if name == "none" else name) for name in ["none", "gzip", "snappy", "lz4", "zstd"]},
        "idempotent producer": idempotent,
        "transactions": transactions,
        "group, a member is killed": member_lost,
        "commit and resume": commit_and_resume,
        "seek by time": seek_by_time,
        "admin: topics": topics,
        "admin: partitions": partitions,
        "admin: read settings": read_settings,
        "admin: change settings": change_settings,
        "admin: groups": groups,
        "admin: offsets": offsets,
    }
    scenarios.run({name: within_patience(scenario) for name, scenario in every.items()})
