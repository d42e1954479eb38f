package testenv

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// StartRedis starts a Redis in memory, with the user "cache" and the password "secret".
func StartRedis(t *testing.T, ca CA) *miniredis.Miniredis {
	t.Helper()
	r := miniredis.NewMiniRedis()
	r.RequireUserAuth("cache", "secret")
	check(t, r.StartTLS(ca.Server.Clone()))
	t.Cleanup(r.Close)
	return r
}

// Kafka is a broker in memory with one topic, "shipments", and the user "fulfilment" with
// the password "secret".
type Kafka struct {
	Brokers string
	cluster *kfake.Cluster
	tls     *tls.Config
}

// StartKafka starts one.
func StartKafka(t *testing.T, ca CA) *Kafka {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "shipments"), kfake.TLS(ca.Server.Clone()),
		kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "fulfilment", "secret"))
	check(t, err)
	t.Cleanup(cluster.Close)
	return &Kafka{strings.Join(cluster.ListenAddrs(), ","), cluster, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "localhost"}}
}

// Env returns the variables of the topic.
func (k *Kafka) Env() map[string]string {
	return map[string]string{
		"SHIPMENTS_BROKERS": k.Brokers, "SHIPMENTS_TOPIC": "shipments", "SHIPMENTS_USERNAME": "fulfilment", "SHIPMENTS_PASSWORD": "secret",
	}
}

// Keys returns the keys of the first n events at least.
func (k *Kafka) Keys(t *testing.T, n int) map[string]bool {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(k.Brokers, ",")...), kgo.DialTLSConfig(k.tls),
		kgo.SASL(scram.Auth{User: "fulfilment", Pass: "secret"}.AsSha512Mechanism()), kgo.ConsumeTopics("shipments"),
		kgo.FetchMaxWait(500*time.Millisecond))
	check(t, err)
	defer client.Close()
	keys := map[string]bool{}
	for len(keys) < n {
		fetches := client.PollFetches(t.Context())
		check(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) { keys[string(r.Key)] = true })
	}
	return keys
}
