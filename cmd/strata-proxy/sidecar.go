package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/stratahq/strata/internal/proxy"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/proxy/sidecar"
)

// sidecarCommand runs the sidecar until ctx ends.
func sidecarCommand(ctx context.Context, args []string, stdout io.Writer, log *slog.Logger) error {
	flags := flag.NewFlagSet("strata-proxy sidecar", flag.ContinueOnError)
	file := flags.String("config", config.ConfigFile, "what to carry and for whom, as JSON")
	key := flags.String("credentials", config.CredentialsFile, "private key and certificate chain, in PEM")
	trust := flags.String("trust", config.TrustFile, "certificates of the trust domain's authorities, in PEM")
	address := flags.String("address", "", "address on which others find mutual TLS, metrics and probes; all when empty")
	grace := flags.Duration("grace", 10*time.Second, "how long requests may take to finish after SIGTERM")
	if done, err := parse(flags, args, stdout); done {
		return err
	}
	content, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	conf, err := config.DecodeSidecar(content)
	if err != nil {
		return fmt.Errorf("%s: %w", *file, err)
	}
	credentials, err := proxy.OpenCredentials(ctx, proxy.CredentialFiles{Key: *key, Trust: *trust, TrustDomain: conf.TrustDomain}, log)
	if err != nil {
		return err
	}
	telemetry, err := proxy.NewTelemetry(ctx, conf.Workload)
	if err != nil {
		return err
	}
	err = sidecar.Run(ctx, sidecar.Options{
		Config: conf, Credentials: credentials, Telemetry: telemetry, Log: log, Address: *address, Grace: *grace,
	})
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if failed := telemetry.Shutdown(last); failed != nil {
		log.Warn("the last spans could not be sent", "error", failed)
	}
	return err
}
