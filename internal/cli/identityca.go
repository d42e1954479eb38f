package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/webca"
)

func (a *app) identityCACommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca [ENV]",
		Short: "Print the CA that vouches for the environment's URLs",
		Long: `Ca prints the certificates, in PEM, of the authority that has signed what the environment's
gateways show: where ingress.tls is platform-ca. There are two while one replaces the
other; trust both. They vouch for names of the environment's domains and for nothing
else, so whoever trusts them does not trust them for any other site.

To trust them, once:

  curl      curl --cacert ca.pem URL
  Debian    cp ca.pem /usr/local/share/ca-certificates/strata-ENV.crt && update-ca-certificates
  Fedora    cp ca.pem /etc/pki/ca-trust/source/anchors/strata-ENV.pem && update-ca-trust
  macOS     sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ca.pem
  Firefox   Settings, Privacy & Security, View Certificates, Authorities, Import: for websites
  Chrome    on Linux: certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n strata-ENV -i ca.pem

Firefox and Chrome on macOS follow the system. To trust it no more, remove the file or
entry again.

` + envRule,
		Example: "  strata identity ca > ca.pem\n  curl --cacert ca.pem https://hello.shop.localhost/\n  strata identity ca prod | openssl x509 -noout -text",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	cmd.RunE = func(c *cobra.Command, args []string) error { return a.identityCA(c.Context(), args) }
	return cmd
}

func (a *app) identityCA(ctx context.Context, args []string) (err error) {
	e, err := a.certified(ctx, args)
	if err != nil {
		return err
	}
	t, err := a.cluster(ctx, []string{e.Metadata.Name})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	pems, _, err := webca.Read(ctx, t.client.Typed, kube.GatewayNamespace)
	if errors.Is(err, webca.ErrNone) {
		return fmt.Errorf("%s: %w: strata-control makes it when it runs", e.Metadata.Name, err)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, pems)
	return err
}

// certified returns the environment that args name, if the platform's own authority
// vouches for its URLs.
func (a *app) certified(ctx context.Context, args []string) (e *model.Environment, err error) {
	s, err := a.look(ctx, args, &storeFlags{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.check.Close()) }()
	name, file := s.env.Metadata.Name, s.env.Source.File
	switch s.env.TLS() {
	case model.TLSPlatformCA:
		if class := s.env.GatewayClass(); class != config.GatewayClass {
			return nil, fmt.Errorf("the gateways of %s are of class %s, whose certificates strata-control does not issue: kubectl -n %s get secret %s shows what does, and its CA under ca.crt",
				name, class, kube.GatewayNamespace, kube.CertificateName(kube.ClassPublic))
		}
		return s.env, nil
	case model.TLSACME:
		return nil, fmt.Errorf("the URLs of %s have certificates of an ACME authority, which machines trust already (%s: ingress.tls)", name, file)
	case model.TLSDisabled:
		return nil, fmt.Errorf("the URLs of %s are plain HTTP: `tls: platform-ca` below spec.ingress in %s gives them certificates", name, file)
	}
	return nil, fmt.Errorf("%s has no ingress, so there are no URLs (%s)", name, file)
}
