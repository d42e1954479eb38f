// Fulfilment takes paid orders from the queue, writes a shipping label for each to object
// storage, tells the rest of the company by an event in Kafka, and answers checkout. It
// acknowledges an order when all of that is done. Every step may be done twice with the
// same outcome, so that an order which comes again does no harm.
package main

import (
	"context"
	"crypto/tls"
	"os"
	"strings"
	"time"

	"net/http"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"example.com/acme/internal/app"
	"example.com/acme/internal/broker"
	"example.com/acme/internal/objects"
)

func main() { os.Exit(app.Main("fulfilment", run)) }

func run(ctx context.Context, a *app.App) error {
	address := a.Address()
	queueURL := a.Env.URL("ORDERS_URL", "amqps", "amqp")
	queue := a.Env.String("ORDERS_QUEUE")
	labels := objects.FromEnv(a.Env, "LABELS")
	brokers := a.Env.String("SHIPMENTS_BROKERS")
	topic := a.Env.String("SHIPMENTS_TOPIC")
	login := scram.Auth{User: a.Env.String("SHIPMENTS_USERNAME"), Pass: a.Env.String("SHIPMENTS_PASSWORD")}
	if err := a.Env.Err(); err != nil {
		return err
	}
	events, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(brokers, ",")...),
		kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}),
		kgo.SASL(login.AsSha512Mechanism()),
		kgo.ClientID("fulfilment"),
		kgo.DefaultProduceTopic(topic),
		kgo.RecordDeliveryTimeout(20*time.Second),
		kgo.ProducerLinger(0),
	)
	if err != nil {
		return err
	}
	defer events.Close()

	link := broker.NewLink(queueURL, "fulfilment", a.Log)
	a.Health.Require("broker", link.Check)
	a.Health.Report("labels", labels.Check)
	a.Health.Report("shipments", events.Ping)

	s := &shipper{log: a.Log, queue: queue, labels: labels, events: kafka{events}}
	return a.Serve(ctx, address, http.NewServeMux(), func(ctx context.Context) error { return link.Run(ctx, s.session) })
}
