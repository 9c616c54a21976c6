"""kafka-python: a client in Python alone."""

import sys
import time

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

import scenarios
from scenarios import PARTITIONS, SESSION_MS, check, deadline, fresh, values

BOOTSTRAP = sys.argv[1]
# kafka-python 3.0 forgets a join that is under way when a poll ends, if it was metadata that asked for it: the member then
# has no partitions for ever. A poll ends early with the first records, so a long one costs nothing.
POLL_S = 3


def admin(act):
    client = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    try:
        return act(client)
    finally:
        client.close()


def topic_of(partitions=1):
    name = fresh("kafka-python")
    admin(lambda client: client.create_topics([NewTopic(name, partitions, 1)]))
    return name


def produce(topic, sent, partition=0, timestamps=None, **settings):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, linger_ms=5, **settings)
    futures = []
    for number, value in enumerate(sent):
        where = partition if partition is not None else number % PARTITIONS
        time_ms = timestamps[number] if timestamps else None
        futures.append(producer.send(topic, value, partition=where, timestamp_ms=time_ms))
    producer.flush(30)
    for future in futures:
        future.get(20)
    producer.close()


def consumer(group=None, **settings):
    return KafkaConsumer(
        bootstrap_servers=BOOTSTRAP,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **({"session_timeout_ms": SESSION_MS, "heartbeat_interval_ms": 500} if group else {}),
        **settings,
    )


def polled(reader, wait_s=POLL_S):
    return [row.value for rows in reader.poll(int(wait_s * 1000)).values() for row in rows]


def read(reader, count):
    got, left = [], deadline()
    while len(got) < count and left():
        got += polled(reader)
    return got


def read_back(topic, wanted, **settings):
    reader = consumer(**settings)
    reader.assign([TopicPartition(topic, 0)])
    check(read(reader, len(wanted)) == wanted, "other values")
    check(not polled(reader, 1), "more records")
    reader.close()


def codec(name):
    def scenario():
        topic = topic_of()
        produce(topic, values(200), compression_type=name, enable_idempotence=False)
        read_back(topic, values(200))

    return scenario


def idempotent():
    topic = topic_of()
    produce(topic, values(500), enable_idempotence=True, batch_size=2000)
    read_back(topic, values(500))


def transactions():
    topic = topic_of()
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=fresh("txn"), max_block_ms=20000)
    producer.init_transactions()
    for number, keep in enumerate([True, False, True]):
        producer.begin_transaction()
        for value in values(5, 5 * number):
            producer.send(topic, value, partition=0)
        producer.flush(20)
        if keep:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()
    read_back(topic, values(5) + values(5, 10), isolation_level="read_committed")


class Assigned(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        scenarios.tell_assigned(len(assigned))


def member_lost():
    topic, group = topic_of(PARTITIONS), fresh("g")
    reader = consumer(group)
    reader.subscribe([topic])
    member = scenarios.Member(__file__, BOOTSTRAP, topic, group)
    left = deadline()
    while member.assigned != PARTITIONS // 2 and left():
        polled(reader)
    member.kill_9()
    produce(topic, values(100), partition=None)
    # Nothing was committed, so what was read before the partitions changed hands comes again.
    got, left = set(), deadline()
    while len(got) < 100 and left():
        got |= set(polled(reader))
    check(got == set(values(100)), "other values")
    check(len(reader.assignment()) == PARTITIONS, "not all partitions")
    reader.close()


def member(topic, group):
    reader = consumer(group)
    reader.subscribe([topic], listener=Assigned())
    end = time.monotonic() + scenarios.MEMBER_LIVES_S
    while time.monotonic() < end:
        polled(reader)


def commit_and_resume():
    topic, group = topic_of(), fresh("g")
    produce(topic, values(100))
    reader = consumer(group, max_poll_records=30)
    reader.subscribe([topic])
    check(read(reader, 30) == values(30), "other values")
    reader.commit()
    reader.close()
    reader = consumer(group)
    reader.subscribe([topic])
    check(read(reader, 70) == values(70, 30), "other values")
    reader.close()


def seek_by_time():
    topic = topic_of()
    produce(topic, values(10), timestamps=[1_000_000 + 1000 * number for number in range(10)])
    row = TopicPartition(topic, 0)
    reader = consumer()
    reader.assign([row])
    offset = reader.offsets_for_times({row: 1_004_500})[row].offset
    check(offset == 5, offset)
    check(reader.offsets_for_times({row: 9_000_000})[row] is None, "after all")
    check((reader.beginning_offsets([row])[row], reader.end_offsets([row])[row]) == (0, 10), "the ends")
    reader.seek(row, offset)
    check(read(reader, 5) == values(5, 5), "other values")
    reader.close()


def topics():
    topic = topic_of(3)
    described = admin(lambda client: client.describe_topics([topic]))
    check(len(described[0]["partitions"]) == 3, described)
    try:
        admin(lambda client: client.create_topics([NewTopic(topic, 3, 1)]))
        check(False, "created twice")
    except TopicAlreadyExistsError:
        pass
    admin(lambda client: client.delete_topics([topic]))
    left = deadline()
    while topic in admin(lambda client: client.list_topics()) and left():
        time.sleep(0.1)


def partitions():
    topic = topic_of(1)
    admin(lambda client: client.create_partitions({topic: 3}))
    left = deadline()
    while len(admin(lambda client: client.describe_topics([topic]))[0]["partitions"]) != 3 and left():
        time.sleep(0.1)


def settings(client, topic):
    found = client.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")
    return found["topic"][topic]


def read_settings():
    topic = topic_of()
    found = admin(lambda client: settings(client, topic))
    check(found["cleanup.policy"]["value"] == "delete", found)


def change_settings():
    topic = topic_of()
    change = ConfigResource("TOPIC", topic, {"retention.ms": "3600000"})
    admin(lambda client: client.alter_configs([change]))
    left = deadline()
    while admin(lambda client: settings(client, topic))["retention.ms"]["value"] != "3600000" and left():
        time.sleep(0.1)


def groups():
    topic, group = topic_of(), fresh("g")
    produce(topic, values(10))
    reader = consumer(group)
    reader.subscribe([topic])
    read(reader, 10)
    reader.commit()
    described = admin(lambda client: client.describe_groups([group]))[group]
    check(described["group_state"] == "Stable" and len(described["members"]) == 1, described)
    reader.close()

    def listed(client):
        return group in [row["group_id"] for row in client.list_groups()]

    check(admin(listed), "not listed")
    check(admin(lambda client: client.delete_groups([group])) == {group: "OK"}, "not deleted")
    check(not admin(listed), "still listed")


def offsets():
    topic, group = topic_of(), fresh("g")
    row = TopicPartition(topic, 0)
    produce(topic, values(10))
    admin(lambda client: client.alter_group_offsets(group, {row: OffsetAndMetadata(4, "", -1)}))
    found = admin(lambda client: client.list_group_offsets({group: None}))
    check(found[group][row].offset == 4, found)
    admin(lambda client: client.delete_records({row: 3}))
    reader = consumer()
    check(reader.beginning_offsets([row])[row] == 3, "the start")
    reader.close()


if len(sys.argv) > 2:
    member(sys.argv[3], sys.argv[4])
else:
    scenarios.run(
        {
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
    )
