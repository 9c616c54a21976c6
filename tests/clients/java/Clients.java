// The Java client against a broker: one line of JSON a scenario. Run as a single file: java -cp … Clients.java ADDRESS

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.IntStream;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;

public class Clients {
    static final int PARTITIONS = 4;
    static final Duration PATIENCE = Duration.ofSeconds(45);
    /** How long a member that its parent forgot goes on. */
    static final Duration MEMBER_LIVES = Duration.ofSeconds(60);
    static String bootstrap;

    interface Scenario {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        if (arguments.length > 1) {
            member(arguments[2], arguments[3]);
            return;
        }
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            report("codec " + codec, () -> codec(codec));
        }
        report("idempotent producer", Clients::idempotent);
        report("transactions", Clients::transactions);
        report("group, a member is killed", Clients::memberLost);
        report("commit and resume", Clients::commitAndResume);
        report("seek by time", Clients::seekByTime);
        report("admin: topics", Clients::topics);
        report("admin: partitions", Clients::partitions);
        report("admin: read settings", Clients::readSettings);
        report("admin: change settings", Clients::changeSettings);
        report("admin: groups", Clients::groups);
        report("admin: offsets", Clients::offsets);
        report("console tools", Clients::consoleTools);
        report("verifiable producer and consumer", Clients::verifiable);
        System.exit(0);
    }

    static void report(String name, Scenario scenario) {
        String result = "works";
        try {
            scenario.run();
        } catch (Throwable error) {
            result = "fails";
            System.err.println("--- " + name);
            error.printStackTrace();
        }
        System.out.println("{\"scenario\": \"" + name + "\", \"result\": \"" + result + "\"}");
    }

    static void check(boolean condition, Object what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    static void until(String what, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.call()) {
            check(System.nanoTime() < end, "never: " + what);
            Thread.sleep(50);
        }
    }

    static String fresh(String what) {
        return what + "-" + UUID.randomUUID().toString().substring(0, 12);
    }

    static List<String> values(int first, int count) {
        return IntStream.range(first, first + count).mapToObj(number -> "value " + number + " 中文 " + "x".repeat(50)).toList();
    }

    static Properties with(String... pairs) {
        Properties all = new Properties();
        all.put("bootstrap.servers", bootstrap);
        for (int at = 0; at < pairs.length; at += 2) {
            all.put(pairs[at], pairs[at + 1]);
        }
        return all;
    }

    static Admin admin() {
        return Admin.create(with("default.api.timeout.ms", "20000", "request.timeout.ms", "10000"));
    }

    static String topicOf(int partitions) throws Exception {
        String topic = fresh("java");
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        }
        return topic;
    }

    static KafkaProducer<String, String> producer(String... pairs) {
        Properties all = with(pairs);
        all.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        all.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        all.putIfAbsent("max.block.ms", "20000");
        all.putIfAbsent("delivery.timeout.ms", "30000");
        all.putIfAbsent("request.timeout.ms", "10000");
        return new KafkaProducer<>(all);
    }

    static void produce(String topic, List<String> sent, int partitions, String... pairs) throws Exception {
        try (KafkaProducer<String, String> producer = producer(pairs)) {
            List<java.util.concurrent.Future<RecordMetadata>> sending = new ArrayList<>();
            for (int number = 0; number < sent.size(); number++) {
                // Times are those of the scenario that looks them up.
                long time = 1_000_000 + 1000L * number;
                sending.add(producer.send(new ProducerRecord<>(topic, number % partitions, time, null, sent.get(number))));
            }
            for (var future : sending) {
                future.get();
            }
        }
    }

    static KafkaConsumer<String, String> consumer(String group, String... pairs) {
        Properties all = with(pairs);
        all.put("group.id", group);
        all.put("auto.offset.reset", "earliest");
        all.put("enable.auto.commit", "false");
        all.put("session.timeout.ms", "6000");
        all.put("heartbeat.interval.ms", "500");
        all.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        all.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        return new KafkaConsumer<>(all);
    }

    static List<String> read(KafkaConsumer<String, String> reader, int count) throws Exception {
        List<String> got = new ArrayList<>();
        until(count + " records", () -> {
            for (ConsumerRecord<String, String> row : reader.poll(Duration.ofMillis(200))) {
                got.add(row.value());
            }
            return got.size() >= count;
        });
        return got;
    }

    static void readBack(String topic, List<String> wanted, String... pairs) throws Exception {
        try (KafkaConsumer<String, String> reader = consumer(fresh("g"), pairs)) {
            reader.assign(List.of(new TopicPartition(topic, 0)));
            check(read(reader, wanted.size()).equals(wanted), "other values");
            check(reader.poll(Duration.ofSeconds(1)).isEmpty(), "more records");
        }
    }

    static void codec(String codec) throws Exception {
        String topic = topicOf(1);
        produce(topic, values(0, 200), 1, "compression.type", codec, "linger.ms", "5");
        readBack(topic, values(0, 200));
    }

    static void idempotent() throws Exception {
        String topic = topicOf(1);
        produce(topic, values(0, 500), 1, "enable.idempotence", "true", "batch.size", "2000");
        readBack(topic, values(0, 500));
    }

    static void transactions() throws Exception {
        String topic = topicOf(1);
        String source = topicOf(1);
        String group = fresh("g");
        produce(source, values(0, 10), 1);
        try (KafkaProducer<String, String> producer = producer("transactional.id", fresh("txn"));
                KafkaConsumer<String, String> reader = consumer(group)) {
            producer.initTransactions();
            reader.subscribe(List.of(source));
            read(reader, 10);
            for (int number = 0; number < 3; number++) {
                producer.beginTransaction();
                for (String value : values(5 * number, 5)) {
                    producer.send(new ProducerRecord<>(topic, 0, null, value));
                }
                if (number == 1) {
                    producer.flush();
                    producer.abortTransaction();
                } else {
                    var next = Map.of(new TopicPartition(source, 0), new OffsetAndMetadata(10));
                    producer.sendOffsetsToTransaction(next, reader.groupMetadata());
                    producer.commitTransaction();
                }
            }
            var committed = reader.committed(Set.of(new TopicPartition(source, 0)));
            check(committed.get(new TopicPartition(source, 0)).offset() == 10, committed);
        }
        List<String> wanted = new ArrayList<>(values(0, 5));
        wanted.addAll(values(10, 5));
        readBack(topic, wanted, "isolation.level", "read_committed");
    }

    static Process java(Redirect output, String... arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                System.getProperty("java.home") + "/bin/java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path")));
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command).redirectOutput(output).redirectError(Redirect.INHERIT).start();
    }

    static void memberLost() throws Exception {
        String topic = topicOf(PARTITIONS);
        String group = fresh("g");
        Process member = java(Redirect.PIPE, System.getProperty("clients.source"), bootstrap, "member", topic, group);
        try (KafkaConsumer<String, String> reader = consumer(group);
                BufferedReader lines = new BufferedReader(new InputStreamReader(member.getInputStream()))) {
            reader.subscribe(List.of(topic));
            // Beside this one it has half of them.
            until("the member has its part", () -> {
                reader.poll(Duration.ofMillis(100));
                return lines.ready() && lines.readLine().equals("2");
            });
            member.destroyForcibly().waitFor();
            produce(topic, values(0, 100), PARTITIONS);
            // Nothing was committed, so what was read before the partitions changed hands comes again.
            Set<String> got = new HashSet<>();
            until("all records", () -> {
                reader.poll(Duration.ofMillis(200)).forEach(row -> got.add(row.value()));
                return got.size() >= 100;
            });
            check(got.equals(Set.copyOf(values(0, 100))), "other values");
            check(reader.assignment().size() == PARTITIONS, reader.assignment());
        } finally {
            member.destroyForcibly();
        }
    }

    static void member(String topic, String group) {
        long end = System.nanoTime() + MEMBER_LIVES.toNanos();
        try (KafkaConsumer<String, String> reader = consumer(group)) {
            reader.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> rows) {
                    System.out.println(rows.size());
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> rows) {
                }
            });
            while (System.nanoTime() < end) {
                reader.poll(Duration.ofMillis(200));
            }
        }
    }

    static void commitAndResume() throws Exception {
        String topic = topicOf(1);
        String group = fresh("g");
        produce(topic, values(0, 100), 1);
        try (KafkaConsumer<String, String> reader = consumer(group, "max.poll.records", "30")) {
            reader.subscribe(List.of(topic));
            check(read(reader, 30).equals(values(0, 30)), "other values");
            reader.commitSync();
        }
        try (KafkaConsumer<String, String> reader = consumer(group)) {
            reader.subscribe(List.of(topic));
            check(read(reader, 70).equals(values(30, 70)), "other values");
        }
    }

    static void seekByTime() throws Exception {
        String topic = topicOf(1);
        produce(topic, values(0, 10), 1);
        TopicPartition row = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> reader = consumer(fresh("g"))) {
            reader.assign(List.of(row));
            long offset = reader.offsetsForTimes(Map.of(row, 1_004_500L)).get(row).offset();
            check(offset == 5, offset);
            check(reader.offsetsForTimes(Map.of(row, 9_000_000L)).get(row) == null, "after all");
            reader.seek(row, offset);
            check(read(reader, 5).equals(values(5, 5)), "other values");
        }
    }

    static int partitionsOf(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
    }

    static void topics() throws Exception {
        String topic = topicOf(3);
        try (Admin admin = admin()) {
            check(partitionsOf(admin, topic) == 3, "partitions");
            try {
                admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1))).all().get();
                check(false, "created twice");
            } catch (ExecutionException error) {
                check(error.getCause() instanceof TopicExistsException, error);
            }
            admin.deleteTopics(List.of(topic)).all().get();
            until("deleted", () -> !admin.listTopics().names().get().contains(topic));
            check(admin.describeCluster().nodes().get().size() == 1, "nodes");
        }
    }

    static void partitions() throws Exception {
        String topic = topicOf(1);
        try (Admin admin = admin()) {
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
            until("three partitions", () -> partitionsOf(admin, topic) == 3);
        }
    }

    static String setting(Admin admin, String topic, String name) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return admin.describeConfigs(List.of(resource)).all().get().get(resource).get(name).value();
    }

    static void readSettings() throws Exception {
        try (Admin admin = admin()) {
            check(setting(admin, topicOf(1), "cleanup.policy").equals("delete"), "the policy");
            ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
            check(admin.describeConfigs(List.of(broker)).all().get().get(broker).get("num.partitions") != null, "the broker's");
        }
    }

    static void changeSettings() throws Exception {
        String topic = topicOf(1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        try (Admin admin = admin()) {
            var change = new AlterConfigOp(new ConfigEntry("retention.ms", "3600000"), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
            until("changed", () -> setting(admin, topic, "retention.ms").equals("3600000"));
        }
    }

    static boolean isListed(Admin admin, String group) throws Exception {
        return admin.listGroups().all().get().stream().anyMatch(row -> row.groupId().equals(group));
    }

    static void groups() throws Exception {
        String topic = topicOf(1);
        String group = fresh("g");
        produce(topic, values(0, 10), 1);
        try (Admin admin = admin()) {
            try (KafkaConsumer<String, String> reader = consumer(group)) {
                reader.subscribe(List.of(topic));
                read(reader, 10);
                reader.commitSync();
                var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
                check(described.groupState() == GroupState.STABLE && described.members().size() == 1, described);
            }
            check(isListed(admin, group), "not listed");
            admin.deleteConsumerGroups(List.of(group)).all().get();
            check(!isListed(admin, group), "still listed");
        }
    }

    static void offsets() throws Exception {
        String topic = topicOf(1);
        String group = fresh("g");
        TopicPartition row = new TopicPartition(topic, 0);
        produce(topic, values(0, 10), 1);
        try (Admin admin = admin()) {
            check(admin.listOffsets(Map.of(row, OffsetSpec.earliest())).all().get().get(row).offset() == 0, "the start");
            check(admin.listOffsets(Map.of(row, OffsetSpec.latest())).all().get().get(row).offset() == 10, "the end");
            check(admin.listOffsets(Map.of(row, OffsetSpec.maxTimestamp())).all().get().get(row).offset() == 9, "the newest");
            admin.alterConsumerGroupOffsets(group, Map.of(row, new OffsetAndMetadata(4))).all().get();
            var committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            check(committed.get(row).offset() == 4, committed);
            check(admin.deleteRecords(Map.of(row, RecordsToDelete.beforeOffset(3))).lowWatermarks().get(row).get().lowWatermark() == 3, "deleted");
        }
    }

    /** Runs one of Kafka's tools and returns what it printed. */
    static String tool(String input, String... arguments) throws Exception {
        Process process = java(Redirect.PIPE, arguments);
        process.getOutputStream().write(input.getBytes(StandardCharsets.UTF_8));
        process.getOutputStream().close();
        // They are told to stop by themselves; this one is for when they do not.
        Thread guard = new Thread(() -> {
            try {
                if (!process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
                    process.destroyForcibly();
                }
            } catch (InterruptedException error) {
                process.destroyForcibly();
            }
        });
        guard.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        check(process.waitFor() == 0, arguments[0] + " ended with " + process.exitValue() + ": " + output);
        return output;
    }

    static void consoleTools() throws Exception {
        String topic = fresh("console");
        String group = fresh("g");
        String tools = "org.apache.kafka.tools.";
        tool("", tools + "TopicCommand", "--bootstrap-server", bootstrap, "--create", "--topic", topic, "--partitions", "2");
        String described = tool("", tools + "TopicCommand", "--bootstrap-server", bootstrap, "--describe", "--topic", topic);
        check(described.contains("PartitionCount: 2"), described);
        tool("one\ntwo\n", tools + "ConsoleProducer", "--bootstrap-server", bootstrap, "--topic", topic);
        String read = tool("", tools + "consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--topic", topic, "--group", group,
                "--from-beginning", "--max-messages", "2", "--timeout-ms", "20000");
        check(read.contains("one\n") && read.contains("two\n"), read);
        String ends = tool("", tools + "GetOffsetShell", "--bootstrap-server", bootstrap, "--topic", topic);
        check(ends.lines().mapToInt(line -> Integer.parseInt(line.substring(line.lastIndexOf(':') + 1))).sum() == 2, ends);
        String groups = tool("", tools + "consumer.group.ConsumerGroupCommand", "--bootstrap-server", bootstrap, "--describe", "--group", group);
        check(groups.contains(topic), groups);
    }

    static void verifiable() throws Exception {
        String topic = topicOf(2);
        String tools = "org.apache.kafka.tools.";
        String sent = tool("", tools + "VerifiableProducer", "--bootstrap-server", bootstrap, "--topic", topic, "--max-messages", "1000", "--acks", "-1");
        check(sent.contains("\"acked\":1000") || sent.contains("\"acked\": 1000") || sent.contains("\"sent\":1000"), sent.substring(Math.max(0, sent.length() - 500)));
        String read = tool("", tools + "VerifiableConsumer", "--bootstrap-server", bootstrap, "--topic", topic, "--group-id", fresh("g"),
                "--max-messages", "1000", "--reset-policy", "earliest");
        int count = read.lines().filter(line -> line.contains("\"records_consumed\""))
                .mapToInt(line -> Integer.parseInt(line.replaceAll(".*\"count\":(\\d+).*", "$1"))).sum();
        check(count == 1000, count + " records");
    }
}
