package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/compile/kube"
	"github.com/stratahq/strata/internal/identity"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/proxy/config"
	"github.com/stratahq/strata/internal/webca"
)

func (a *app) identityCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "identity",
		Short: "Show and rotate the roots that vouch for workloads, and the CA that vouches for URLs",
		Long: `Identity is about the roots of an environment's trust domain: the authorities that sign
the certificates by which workloads know each other. strata-control keeps them in the
environment's cluster and replaces them in time by itself.

With ingress.tls: platform-ca it has another one, that people trust: ca prints it.

` + envRule,
	}
	cmd.AddCommand(a.identityStatusCommand(), a.identityRotateCommand(), a.identityWithdrawCommand(), a.identityCACommand())
	return cmd
}

func (a *app) identityStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [ENV]",
		Short: "Show the roots, where they are in their lives, and how much each has signed",
		Long: `Status lists the roots that pods trust, oldest first. A root is published, so that pods
learn of it, then signing, then retiring until its last certificate has ended. With
ingress.tls: platform-ca it lists the CA and the gateways' certificates, too. It reads
neither keys nor secrets.

` + envRule,
		Example: "  strata identity status\n  strata identity status prod -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		return a.withIdentities(c.Context(), args, func(v *view.Identity, _ *clusterOf) error {
			if format.value == "json" {
				return v.JSON(a.stdout)
			}
			color, _ := terminal(a.stdout)
			return v.Human(a.stdout, view.IdentityOptions{Color: color, Now: a.today()})
		})
	}
	return cmd
}

func (a *app) identityRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate [ENV]",
		Short: "Ask for a new root of the environment's workloads",
		Long: `Rotate asks strata-control for a new root. It is published beside the old one at once,
signs when pods have had the time to learn of it, and the old one is withdrawn when its
last certificate has ended. Workloads trust each other all the time; nothing restarts.

Certificates of the old root hold until then. Where its key may be in wrong hands, see
docs/identity.md.

` + envRule,
		Example: "  strata identity rotate prod",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	cmd.RunE = func(c *cobra.Command, args []string) error {
		return a.withIdentities(c.Context(), args, func(v *view.Identity, t *clusterOf) error { return a.rotate(c.Context(), v, t) })
	}
	return cmd
}

func (a *app) identityWithdrawCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "withdraw [ENV] ROOT",
		Short: "Let nobody trust a root any more, before its last certificate has ended",
		Long: `Withdraw takes a root that retires out of what pods trust, at once. It is for a root whose
key may be in wrong hands: rotate first, and wait until the new root signs. Pods that
still have a certificate of the old root are refused by others until they have a new
one: start them anew before, or wait until half of their certificates' lives is over.

` + envRule,
		Example: "  strata identity withdraw prod 3c2b6f0a91d4e857",
		Args:    cobra.RangeArgs(1, 2),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		env, rest := split(args, 1)
		return a.withIdentities(c.Context(), env, func(v *view.Identity, t *clusterOf) error { return a.withdraw(c.Context(), v, t, rest[0], yes) })
	}
	return cmd
}

func (a *app) withdraw(ctx context.Context, v *view.Identity, t *clusterOf, id string, yes bool) error {
	i := slices.IndexFunc(v.Roots, func(r view.IdentityRoot) bool { return r.ID == id })
	switch {
	case i < 0:
		return fmt.Errorf("%s has no root %s; %s identity status %[1]s lists them", v.Environment, id, a.self())
	case v.Roots[i].Phase != string(identity.PhaseRetiring):
		return fmt.Errorf("the root %s is %s, and only one that retires can be withdrawn: %s identity rotate %s replaces it", id, v.Roots[i].Phase, a.self(), v.Environment)
	}
	if r := v.Roots[i]; !yes {
		ok, err := a.ask(fmt.Sprintf("Pods in %s with certificates of the root %s, the last of which ends at %s, are refused by others from then on. Withdraw it?", v.Environment, id, r.LastExpiry.UTC().Format(time.RFC3339)))
		if err != nil {
			return err
		}
		if !ok {
			fmt.Fprintln(a.stderr, "Nothing was changed.")
			return exitError{ExitError}
		}
	}
	if err := identity.RequestWithdrawal(ctx, t.client.Typed, id, a.today().UTC().Format(time.RFC3339Nano)); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "The root %s goes. Kubelets take up to two minutes to tell pods.\n", id)
	a.noLeader(v)
	return nil
}

// noLeader says that nothing happens for now.
func (a *app) noLeader(v *view.Identity) {
	if v.Leader == "" {
		fmt.Fprintln(a.stdout, "No strata-control leads now: nothing happens before one does.")
	}
}

func (a *app) rotate(ctx context.Context, v *view.Identity, t *clusterOf) error {
	if i := slices.IndexFunc(v.Roots, func(r view.IdentityRoot) bool { return r.Phase == string(identity.PhasePublished) }); i >= 0 {
		fmt.Fprintf(a.stdout, "A rotation is under way already, to the root %s. %s identity status %s shows it.\n", v.Roots[i].ID, a.self(), v.Environment)
		return nil
	}
	if err := identity.RequestRotation(ctx, t.client.Typed, a.today().UTC().Format(time.RFC3339Nano)); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "A new root of %s is asked for. %s identity status %s shows how far it is.\n", v.TrustDomain, a.self(), v.Environment)
	a.noLeader(v)
	return nil
}

// withIdentities reads what is known of an environment's roots.
func (a *app) withIdentities(ctx context.Context, args []string, f func(*view.Identity, *clusterOf) error) (err error) {
	t, err := a.cluster(ctx, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	s, err := identity.ReadStatus(ctx, t.client.Typed)
	if err != nil {
		return err
	}
	trusted, err := identity.Trusted(ctx, t.client.Typed)
	if err != nil {
		return err
	}
	v := &view.Identity{Environment: t.env.Metadata.Name, TrustDomain: s.TrustDomain, Rotation: s.Rotation}
	if v.Leader, err = a.leader(ctx, t); err != nil {
		return err
	}
	if t.env.TLS() == model.TLSPlatformCA {
		_, v.Web, err = webca.Read(ctx, t.client.Typed, kube.GatewayNamespace)
		if err != nil && !errors.Is(err, webca.ErrNone) && !apierrors.IsForbidden(err) {
			return err
		}
	}
	for _, r := range s.Roots {
		v.Roots = append(v.Roots, view.IdentityRoot{
			ID: r.ID, Phase: string(r.Phase), NotBefore: r.NotBefore, NotAfter: r.NotAfter, Published: r.Published,
			Signs: r.Signs, Withdrawn: r.Withdrawn, Issued: r.Issued, LastExpiry: r.LastExpiry, Trusted: slices.Contains(trusted, r.ID),
		})
	}
	return f(v, t)
}

// leader returns the replica of the control plane that leads; none when its lease has run
// out.
func (a *app) leader(ctx context.Context, t *clusterOf) (string, error) {
	l, err := t.client.Typed.CoordinationV1().Leases(config.ControlNamespace).Get(ctx, config.ControlLease, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read who leads: %w", err)
	}
	x := l.Spec
	if x.HolderIdentity == nil || x.RenewTime == nil || x.LeaseDurationSeconds == nil {
		return "", nil
	}
	if a.today().After(x.RenewTime.Add(time.Duration(*x.LeaseDurationSeconds) * time.Second)) {
		return "", nil
	}
	return *x.HolderIdentity, nil
}
