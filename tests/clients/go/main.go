// franz-go against a broker: one line of JSON a scenario.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 4
	patience   = 45 * time.Second
	// How long a member that its parent forgot goes on.
	memberLives = 60 * time.Second
)

var bootstrap = os.Args[1]

func main() {
	if len(os.Args) > 2 {
		member(os.Args[3], os.Args[4])
		return
	}
	scenarios := []struct {
		name string
		run  func(context.Context) error
	}{
		{"codec none", codec(kgo.NoCompression())},
		{"codec gzip", codec(kgo.GzipCompression())},
		{"codec snappy", codec(kgo.SnappyCompression())},
		{"codec lz4", codec(kgo.Lz4Compression())},
		{"codec zstd", codec(kgo.ZstdCompression())},
		{"idempotent producer", idempotent},
		{"transactions", transactions},
		{"group, a member is killed", memberLost},
		{"commit and resume", commitAndResume},
		{"seek by time", seekByTime},
		{"admin: topics", topics},
		{"admin: partitions", grow},
		{"admin: read settings", readSettings},
		{"admin: change settings", changeSettings},
		{"admin: groups", groups},
		{"admin: offsets", offsets},
	}
	for _, scenario := range scenarios {
		within, cancel := context.WithTimeout(context.Background(), patience)
		result := "works"
		if err := scenario.run(within); err != nil {
			result = "fails"
			fmt.Fprintf(os.Stderr, "--- %s: %v\n", scenario.name, err)
		}
		cancel()
		line, _ := json.Marshal(map[string]string{"scenario": scenario.name, "result": result})
		fmt.Println(string(line))
	}
}

func fresh(what string) string {
	return fmt.Sprintf("%s-%d-%d", what, os.Getpid(), time.Now().UnixNano())
}

func value(number int) []byte {
	return []byte(fmt.Sprintf("value %d 中文 %s", number, strings.Repeat("x", 50)))
}

func client(options ...kgo.Opt) (*kgo.Client, error) {
	base := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}
	return kgo.NewClient(append(base, options...)...)
}

func inGroup(group, topic string, options ...kgo.Opt) (*kgo.Client, error) {
	return client(append(options,
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.DisableAutoCommit(),
	)...)
}

func admin(do func(*kadm.Client) error) error {
	connection, err := client()
	if err != nil {
		return err
	}
	defer connection.Close()
	return do(kadm.NewClient(connection))
}

func topicOf(within context.Context, count int32) (string, error) {
	name := fresh("franz")
	return name, admin(func(admin *kadm.Client) error {
		_, err := admin.CreateTopic(within, count, 1, nil, name)
		return err
	})
}

func records(topic string, first, count int) []*kgo.Record {
	var made []*kgo.Record
	for number := first; number < first+count; number++ {
		made = append(made, &kgo.Record{Topic: topic, Value: value(number)})
	}
	return made
}

func produce(within context.Context, made []*kgo.Record, options ...kgo.Opt) error {
	producer, err := client(options...)
	if err != nil {
		return err
	}
	defer producer.Close()
	return producer.ProduceSync(within, made...).FirstErr()
}

func read(within context.Context, reader *kgo.Client, count int) ([]*kgo.Record, error) {
	var got []*kgo.Record
	for len(got) < count {
		fetches := reader.PollFetches(within)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("%d of %d: %w", len(got), count, err)
		}
		got = append(got, fetches.Records()...)
	}
	return got, nil
}

func expect(got []*kgo.Record, first, count int) error {
	if len(got) != count {
		return fmt.Errorf("%d records, not %d", len(got), count)
	}
	for at, record := range got {
		if !bytes.Equal(record.Value, value(first+at)) {
			return fmt.Errorf("record %d is %q", at, record.Value)
		}
	}
	return nil
}

func nothingMore(within context.Context, reader *kgo.Client) error {
	within, cancel := context.WithTimeout(within, time.Second)
	defer cancel()
	if more := reader.PollFetches(within).NumRecords(); more != 0 {
		return fmt.Errorf("%d more records", more)
	}
	return nil
}

func at(topic string, offset kgo.Offset) kgo.Opt {
	return kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: offset}})
}

func readBack(within context.Context, topic string, count int, options ...kgo.Opt) error {
	reader, err := client(append(options, at(topic, kgo.NewOffset().AtStart()))...)
	if err != nil {
		return err
	}
	defer reader.Close()
	got, err := read(within, reader, count)
	if err != nil {
		return err
	}
	if err := expect(got, 0, count); err != nil {
		return err
	}
	return nothingMore(within, reader)
}

func codec(of kgo.CompressionCodec) func(context.Context) error {
	return func(within context.Context) error {
		topic, err := topicOf(within, 1)
		if err != nil {
			return err
		}
		options := []kgo.Opt{kgo.ProducerBatchCompression(of), kgo.DisableIdempotentWrite()}
		if err := produce(within, records(topic, 0, 200), options...); err != nil {
			return err
		}
		return readBack(within, topic, 200)
	}
}

func idempotent(within context.Context) error {
	topic, err := topicOf(within, 1)
	if err != nil {
		return err
	}
	producer, err := client()
	if err != nil {
		return err
	}
	defer producer.Close()
	for first := 0; first < 500; first += 20 {
		if err := producer.ProduceSync(within, records(topic, first, 20)...).FirstErr(); err != nil {
			return err
		}
	}
	return readBack(within, topic, 500)
}

func transactions(within context.Context) error {
	topic, err := topicOf(within, 1)
	if err != nil {
		return err
	}
	producer, err := client(kgo.TransactionalID(fresh("txn")))
	if err != nil {
		return err
	}
	defer producer.Close()
	// The first is kept, the second not.
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := producer.BeginTransaction(); err != nil {
			return err
		}
		if err := producer.ProduceSync(within, records(topic, 0, 10)...).FirstErr(); err != nil {
			return err
		}
		if err := producer.EndTransaction(within, end); err != nil {
			return err
		}
	}
	return readBack(within, topic, 10, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
}

func memberLost(within context.Context) error {
	topic, err := topicOf(within, partitions)
	if err != nil {
		return err
	}
	group := fresh("g")
	lost := exec.Command(os.Args[0], bootstrap, "member", topic, group)
	output, err := lost.StdoutPipe()
	if err != nil {
		return err
	}
	if err := lost.Start(); err != nil {
		return err
	}
	// Its first byte says that it has partitions.
	_, err = output.Read(make([]byte, 1))
	reader, failed := inGroup(group, topic)
	if failed != nil {
		return failed
	}
	defer reader.Close()
	joined := make(chan error, 1)
	go func() {
		for {
			state, err := stateOf(within, group)
			if err != nil || (state.State == "Stable" && len(state.Members) == 2) {
				joined <- err
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	err = errors.Join(err, <-joined)
	if err := errors.Join(err, lost.Process.Kill()); err != nil {
		return err
	}
	_ = lost.Wait() // It was killed, and says so.
	made := records(topic, 0, 100)
	for number, record := range made {
		record.Partition = int32(number % partitions)
	}
	if err := produce(within, made); err != nil {
		return err
	}
	// Nothing was committed, so what was read before the partitions changed hands comes again.
	distinct := make(map[int]*kgo.Record)
	for len(distinct) < 100 {
		got, err := read(within, reader, 1)
		if err != nil {
			return fmt.Errorf("%d of 100: %w", len(distinct), err)
		}
		for _, record := range got {
			distinct[number(record)] = record
		}
	}
	var got []*kgo.Record
	for at := range 100 {
		got = append(got, distinct[at])
	}
	return expect(got, 0, 100)
}

func number(record *kgo.Record) int {
	found, _ := strconv.Atoi(strings.Fields(string(record.Value))[1])
	return found
}

func stateOf(within context.Context, group string) (state kadm.DescribedGroup, err error) {
	err = admin(func(admin *kadm.Client) error {
		described, err := admin.DescribeGroups(within, group)
		state = described[group]
		return errors.Join(err, state.Err)
	})
	return state, err
}

func member(topic, group string) {
	within, cancel := context.WithTimeout(context.Background(), memberLives)
	defer cancel()
	assigned := func(context.Context, *kgo.Client, map[string][]int32) { fmt.Print(".") }
	reader, err := inGroup(group, topic, kgo.OnPartitionsAssigned(assigned))
	if err != nil {
		panic(err)
	}
	for within.Err() == nil {
		reader.PollFetches(within)
	}
}

func commitAndResume(within context.Context) error {
	topic, err := topicOf(within, 1)
	if err != nil {
		return err
	}
	if err := produce(within, records(topic, 0, 100)); err != nil {
		return err
	}
	group := fresh("g")
	readOn := func(first, count int) error {
		reader, err := inGroup(group, topic)
		if err != nil {
			return err
		}
		defer reader.Close()
		got, err := read(within, reader, count)
		if err != nil {
			return err
		}
		if err := expect(got[:count], first, count); err != nil {
			return err
		}
		return reader.CommitRecords(within, got[:count]...)
	}
	return errors.Join(readOn(0, 30), readOn(30, 70))
}

func seekByTime(within context.Context) error {
	topic, err := topicOf(within, 1)
	if err != nil {
		return err
	}
	made := records(topic, 0, 10)
	for number, record := range made {
		record.Timestamp = time.UnixMilli(int64(1_000_000 + 1000*number))
	}
	if err := produce(within, made); err != nil {
		return err
	}
	reader, err := client(at(topic, kgo.NewOffset().AfterMilli(1_004_500)))
	if err != nil {
		return err
	}
	defer reader.Close()
	got, err := read(within, reader, 5)
	if err != nil {
		return err
	}
	return expect(got, 5, 5)
}

func topics(within context.Context) error {
	topic, err := topicOf(within, 3)
	if err != nil {
		return err
	}
	return admin(func(admin *kadm.Client) error {
		listed, err := admin.ListTopics(within, topic)
		if err != nil {
			return err
		}
		if found := len(listed[topic].Partitions); found != 3 {
			return fmt.Errorf("%d partitions", found)
		}
		_, err = admin.CreateTopic(within, 3, 1, nil, topic)
		if !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("created twice: %v", err)
		}
		if _, err := admin.DeleteTopic(within, topic); err != nil {
			return err
		}
		listed, err = admin.ListTopics(within)
		if listed.Has(topic) {
			return errors.New("still listed")
		}
		return err
	})
}

func grow(within context.Context) error {
	topic, err := topicOf(within, 1)
	if err != nil {
		return err
	}
	return admin(func(admin *kadm.Client) error {
		grown, err := admin.UpdatePartitions(within, 3, topic)
		if err = errors.Join(err, grown.Error()); err != nil {
			return err
		}
		listed, err := admin.ListTopics(within, topic)
		if found := len(listed[topic].Partitions); found != 3 {
			return fmt.Errorf("%d partitions", found)
		}
		return err
	})
}

func setting(within context.Context, topic, key string) (found string, err error) {
	err = admin(func(admin *kadm.Client) error {
		described, err := admin.DescribeTopicConfigs(within, topic)
		if err != nil {
			return err
		}
		of, err := described.On(topic, nil)
		if err = errors.Join(err, of.Err); err != nil {
			return err
		}
		for _, row := range of.Configs {
			if row.Key == key {
				found = row.MaybeValue()
			}
		}
		return nil
	})
	return found, err
}

func readSettings(within context.Context) error {
	topic, err := topicOf(within, 1)
	if err != nil {
		return err
	}
	policy, err := setting(within, topic, "cleanup.policy")
	if policy != "delete" {
		return errors.Join(err, fmt.Errorf("the policy is %q", policy))
	}
	return err
}

func changeSettings(within context.Context) error {
	topic, err := topicOf(within, 1)
	if err != nil {
		return err
	}
	err = admin(func(admin *kadm.Client) error {
		hour := "3600000"
		change := kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: &hour}
		altered, err := admin.AlterTopicConfigs(within, []kadm.AlterConfig{change}, topic)
		if err != nil {
			return err
		}
		_, err = altered.On(topic, func(of *kadm.AlterConfigsResponse) error { return of.Err })
		return err
	})
	if err != nil {
		return err
	}
	changed, err := setting(within, topic, "retention.ms")
	if changed != "3600000" {
		return errors.Join(err, fmt.Errorf("retention.ms is %q", changed))
	}
	return err
}

func groups(within context.Context) error {
	topic, err := topicOf(within, 1)
	if err != nil {
		return err
	}
	if err := produce(within, records(topic, 0, 10)); err != nil {
		return err
	}
	group := fresh("g")
	reader, err := inGroup(group, topic)
	if err != nil {
		return err
	}
	got, err := read(within, reader, 10)
	if err != nil {
		return err
	}
	if err := reader.CommitRecords(within, got...); err != nil {
		return err
	}
	state, err := stateOf(within, group)
	if err != nil || state.State != "Stable" || len(state.Members) != 1 {
		return errors.Join(err, fmt.Errorf("described as %+v", state))
	}
	reader.Close()
	return admin(func(admin *kadm.Client) error {
		listed, err := admin.ListGroups(within)
		if _, has := listed[group]; err != nil || !has {
			return errors.Join(err, errors.New("not listed"))
		}
		if _, err := admin.DeleteGroup(within, group); err != nil {
			return err
		}
		listed, err = admin.ListGroups(within)
		if _, has := listed[group]; has {
			return errors.New("still listed")
		}
		return err
	})
}

func offsets(within context.Context) error {
	topic, err := topicOf(within, 1)
	if err != nil {
		return err
	}
	if err := produce(within, records(topic, 0, 10)); err != nil {
		return err
	}
	group := fresh("g")
	return admin(func(admin *kadm.Client) error {
		start, err := admin.ListStartOffsets(within, topic)
		if first, _ := start.Lookup(topic, 0); err != nil || first.Offset != 0 {
			return errors.Join(err, fmt.Errorf("starts at %+v", first))
		}
		end, err := admin.ListEndOffsets(within, topic)
		if last, _ := end.Lookup(topic, 0); err != nil || last.Offset != 10 {
			return errors.Join(err, fmt.Errorf("ends at %+v", last))
		}
		wanted := make(kadm.Offsets)
		wanted.AddOffset(topic, 0, 4, -1)
		if err := admin.CommitAllOffsets(within, group, wanted); err != nil {
			return err
		}
		found, err := admin.FetchOffsets(within, group)
		if of, _ := found.Lookup(topic, 0); err != nil || of.At != 4 {
			return errors.Join(err, fmt.Errorf("committed is %+v", of))
		}
		before := make(kadm.Offsets)
		before.AddOffset(topic, 0, 3, -1)
		deleted, err := admin.DeleteRecords(within, before)
		if of, _ := deleted.Lookup(topic, 0); err != nil || of.LowWatermark != 3 {
			return errors.Join(err, fmt.Errorf("deleted up to %+v", of))
		}
		return nil
	})
}
