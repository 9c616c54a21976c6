"""confluent-kafka: librdkafka in its newest version."""

import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

import scenarios
from scenarios import PARTITIONS, SESSION_MS, check, deadline, fresh, values

BOOTSTRAP = sys.argv[1]
BASE = {"bootstrap.servers": BOOTSTRAP, "topic.metadata.refresh.interval.ms": 1000}


# Of its own it would go, and its answers with it, before they are waited for.
ADMIN = AdminClient(BASE)


def done(futures):
    return {key: future.result(20) for key, future in futures.items()}


def topic_of(partitions=1):
    name = fresh("confluent")
    done(ADMIN.create_topics([NewTopic(name, partitions, 1)]))
    return name


def produce(topic, sent, partition=0, timestamps=None, **settings):
    producer = Producer({**BASE, "linger.ms": 5, **settings})
    errors = []

    def delivered(error, _message):
        if error:
            errors.append(error)

    for number, value in enumerate(sent):
        extra = {"timestamp": timestamps[number]} if timestamps else {}
        where = partition if partition is not None else number % PARTITIONS
        producer.produce(topic, value, partition=where, on_delivery=delivered, **extra)
    check(producer.flush(30) == 0, "records are left")
    check(not errors, errors)


def consumer(group, **settings):
    defaults = {
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": 500,
    }
    return Consumer({**BASE, **defaults, **settings})


def read(reader, count):
    got, left = [], deadline()
    while len(got) < count and left():
        message = reader.poll(0.2)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        got.append(message)
    return got


def nothing_more(reader):
    message = reader.poll(1)
    check(message is None, f"one more: {message}")


def codec(name):
    def scenario():
        topic = topic_of()
        produce(topic, values(200), **{"compression.type": name})
        reader = consumer(fresh("g"))
        reader.assign([TopicPartition(topic, 0, 0)])
        check([message.value() for message in read(reader, 200)] == values(200), "other values")
        reader.close()

    return scenario


def idempotent():
    topic = topic_of()
    produce(topic, values(500), **{"enable.idempotence": True, "batch.num.messages": 20})
    reader = consumer(fresh("g"))
    reader.assign([TopicPartition(topic, 0, 0)])
    check([message.value() for message in read(reader, 500)] == values(500), "other values")
    nothing_more(reader)
    reader.close()


def transactions():
    topic, source, group = topic_of(), topic_of(), fresh("g")
    produce(source, values(10))
    reader = consumer(group)
    reader.subscribe([source])
    read(reader, 10)
    producer = Producer({**BASE, "transactional.id": fresh("txn")})
    producer.init_transactions(20)
    for number, keep in enumerate([True, False, True]):
        producer.begin_transaction()
        for value in values(5, 5 * number):
            producer.produce(topic, value, partition=0)
        if keep:
            positions = reader.position(reader.assignment())
            producer.send_offsets_to_transaction(positions, reader.consumer_group_metadata(), 20)
            producer.commit_transaction(20)
        else:
            producer.flush(20)
            producer.abort_transaction(20)
    check(reader.committed([TopicPartition(source, 0)], 20)[0].offset == 10, "offsets of the transaction")
    reader.close()
    reader = consumer(fresh("g"), **{"isolation.level": "read_committed"})
    reader.assign([TopicPartition(topic, 0, 0)])
    check([message.value() for message in read(reader, 10)] == values(5) + values(5, 10), "other values")
    nothing_more(reader)
    reader.close()


def member_lost():
    topic, group = topic_of(PARTITIONS), fresh("g")
    reader = consumer(group)
    reader.subscribe([topic])
    member = scenarios.Member(__file__, BOOTSTRAP, topic, group)
    left = deadline()
    while member.assigned == 0 and left():
        reader.poll(0.1)
    member.kill_9()
    produce(topic, values(100), partition=None)
    # Nothing was committed, so what was read before the partitions changed hands comes again.
    got, left = set(), deadline()
    while len(got) < 100 and left():
        got |= {message.value() for message in read(reader, 1)}
    check(got == set(values(100)), "other values")
    check(len(reader.assignment()) == PARTITIONS, "not all partitions")
    reader.close()


def member(topic, group):
    reader = consumer(group)
    reader.subscribe([topic], on_assign=lambda _consumer, rows: scenarios.tell_assigned(len(rows)))
    end = time.monotonic() + scenarios.MEMBER_LIVES_S
    while time.monotonic() < end:
        reader.poll(0.2)


def commit_and_resume():
    topic, group = topic_of(), fresh("g")
    produce(topic, values(100))
    reader = consumer(group)
    reader.subscribe([topic])
    read(reader, 30)
    reader.commit(asynchronous=False)
    reader.close()
    reader = consumer(group)
    reader.subscribe([topic])
    check([message.value() for message in read(reader, 70)] == values(70, 30), "other values")
    nothing_more(reader)
    reader.close()


def seek_by_time():
    topic = topic_of()
    produce(topic, values(10), timestamps=[1_000_000 + 1000 * number for number in range(10)])
    reader = consumer(fresh("g"))
    found = reader.offsets_for_times([TopicPartition(topic, 0, 1_004_500)], 20)
    check(found[0].offset == 5, found)
    reader.assign(found)
    check([message.value() for message in read(reader, 5)] == values(5, 5), "other values")
    after = reader.offsets_for_times([TopicPartition(topic, 0, 9_000_000)], 20)
    check(after[0].offset == -1, after)
    check(reader.get_watermark_offsets(TopicPartition(topic, 0), 20) == (0, 10), "watermarks")
    reader.close()


def topics():
    topic = topic_of(3)
    check(len(ADMIN.list_topics(timeout=20).topics[topic].partitions) == 3, "partitions")
    try:
        done(ADMIN.create_topics([NewTopic(topic, 3, 1)]))
        check(False, "created twice")
    except KafkaException as error:
        check(error.args[0].name() == "TOPIC_ALREADY_EXISTS", error)
    done(ADMIN.delete_topics([topic]))
    left = deadline()
    while topic in ADMIN.list_topics(timeout=20).topics and left():
        time.sleep(0.1)


def partitions():
    topic = topic_of(1)
    done(ADMIN.create_partitions([NewPartitions(topic, 3)]))
    left = deadline()
    while len(ADMIN.list_topics(topic, 20).topics[topic].partitions) != 3 and left():
        time.sleep(0.1)


def setting(topic, name):
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    return done(ADMIN.describe_configs([resource]))[resource][name].value


def configs():
    check(setting(topic_of(), "cleanup.policy") == "delete", "the policy")
    resource = ConfigResource(ConfigResource.Type.BROKER, "1")
    check("num.partitions" in done(ADMIN.describe_configs([resource]))[resource], "the broker's")


def alter_configs():
    topic = topic_of()
    entry = ConfigEntry("retention.ms", "3600000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    done(ADMIN.incremental_alter_configs([resource]))
    left = deadline()
    while setting(topic, "retention.ms") != "3600000" and left():
        time.sleep(0.1)


def groups():
    topic, group = topic_of(), fresh("g")
    produce(topic, values(10))
    reader = consumer(group)
    reader.subscribe([topic])
    read(reader, 10)
    reader.commit(asynchronous=False)
    described = done(ADMIN.describe_consumer_groups([group]))[group]
    check(described.state.name == "STABLE" and len(described.members) == 1, described)
    check(described.members[0].assignment.topic_partitions == [TopicPartition(topic, 0)], "assignment")
    reader.close()
    listed = ADMIN.list_consumer_groups().result(20)
    check(group in [row.group_id for row in listed.valid], "not listed")
    done(ADMIN.delete_consumer_groups([group]))
    listed = ADMIN.list_consumer_groups().result(20)
    check(group not in [row.group_id for row in listed.valid], "still listed")


def offsets():
    topic, group = topic_of(), fresh("g")
    produce(topic, values(10))
    row = TopicPartition(topic, 0)
    for spec, offset in [(OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 10)]:
        found = done(ADMIN.list_offsets({row: spec}))
        check(next(iter(found.values())).offset == offset, found)
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 4)])
    done(ADMIN.alter_consumer_group_offsets([wanted]))
    found = done(ADMIN.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))[group]
    check([(row.topic, row.offset) for row in found.topic_partitions] == [(topic, 4)], found)
    deleted = done(ADMIN.delete_records([TopicPartition(topic, 0, 3)]))
    check(next(iter(deleted.values())).low_watermark == 3, deleted)


if len(sys.argv) > 2:
    member(sys.argv[3], sys.argv[4])
else:
    scenarios.run(
        {
            **{f"codec {name}": codec(name) for name in ["none", "gzip", "snappy", "lz4", "zstd"]},
            "idempotent producer": idempotent,
            "transactions": transactions,
            "group, a member is killed": member_lost,
            "commit and resume": commit_and_resume,
            "seek by time": seek_by_time,
            "admin: topics": topics,
            "admin: partitions": partitions,
            "admin: read settings": configs,
            "admin: change settings": alter_configs,
            "admin: groups": groups,
            "admin: offsets": offsets,
        }
    )
