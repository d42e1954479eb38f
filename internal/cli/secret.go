package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/cluster"
	"github.com/stratahq/strata/internal/compile"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/suggest"
)

func (a *app) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Give an environment the secrets that its workloads ask for",
		Long: `Secret works on the values that people give and workloads ask for with a resource of
type secret. In an environment of this machine they lie in its cluster, encrypted at
rest. Elsewhere they lie in the cloud's service for secrets, and these commands say how
they get there: Strata never holds them.

KEY is the key that the resource names, such as payments/provider-token.

` + envRule,
	}
	cmd.AddCommand(a.secretSetCommand(), a.secretListCommand(), a.secretRemoveCommand())
	return cmd
}

func (a *app) secretSetCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "set [ENV] KEY",
		Short: "Give a secret its value, from standard input or a file",
		Long: `Set gives a secret its value. It asks for it on a terminal without showing it, and
reads standard input otherwise, less one line break at its end. A file is taken as it
is. The value is never an argument, where other users could see it.

Workloads get the new value with the next strata up, which starts their pods anew.

` + envRule,
		Example: `  strata secret set local payments/provider-token
  pass show provider | strata secret set local payments/provider-token
  strata secret set local payments/certificate --from-file cert.pem`,
		Args: cobra.RangeArgs(1, 2),
	}
	cmd.ValidArgsFunction = a.completeSecret
	cmd.Flags().StringVar(&file, "from-file", "", "file that holds the value; - is standard input, as it is")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		return a.withSecrets(c.Context(), args, 1, func(s *secrets) error { return a.setSecret(c.Context(), s, file) })
	}
	return cmd
}

func (a *app) secretRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rm [ENV] KEY",
		Short: "Remove a secret that people have given",
		Long: `Rm removes a secret. What still asks for it keeps the value that it has; the next
strata up makes one up in its place.

` + envRule,
		Example: "  strata secret rm local payments/provider-token",
		Args:    cobra.RangeArgs(1, 2),
	}
	cmd.ValidArgsFunction = a.completeSecret
	cmd.RunE = func(c *cobra.Command, args []string) error {
		return a.withSecrets(c.Context(), args, 1, func(s *secrets) error { return a.removeSecret(c.Context(), s) })
	}
	return cmd
}

func (a *app) secretListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls [ENV]",
		Short: "List secrets: which are given, missing or made up, and who asks for them",
		Long: `Ls lists the secrets that the description asks for and those that are there, without
their values: given by people, made up because nobody had given them when they were
needed, missing, or made by a unit. Outside of this machine it lists what is asked for.

` + envRule,
		Example: "  strata secret ls\n  strata secret ls prod -o json",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	format := formatFlag(cmd, "text", "json")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		if err := format.check(); err != nil {
			return err
		}
		return a.withSecrets(c.Context(), args, 0, func(s *secrets) error { return a.listSecrets(c.Context(), s, format.value) })
	}
	return cmd
}

// secrets are those of an environment.
type secrets struct {
	check    *check.Result
	env      *model.Environment
	compiled *compile.Compiled
	key      string
}

// withSecrets reads the description. keys is how many keys there are among the
// arguments.
func (a *app) withSecrets(ctx context.Context, args []string, keys int, f func(*secrets) error) (err error) {
	env, rest := split(args, keys)
	r, err := check.Load(ctx, a.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.Diagnostics.HasErrors() || r.Model.Platform == nil {
		return a.showErrors(r)
	}
	s := &secrets{check: r}
	if s.env, err = environmentOf(r.Model, env); err != nil {
		return err
	}
	if keys > 0 {
		s.key = rest[0]
		if !secretKey.MatchString(s.key) {
			return fmt.Errorf("%q is no key of a secret: a key is a relative path such as payments/provider-token", s.key)
		}
	}
	if s.compiled, err = r.Compile(s.env.Metadata.Name); err != nil {
		return err
	}
	return f(s)
}

// secretKey is what the type secret allows.
var secretKey = regexp.MustCompile(`^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*$`)

// environmentOf returns the environment that is named, or the only one of this machine.
func environmentOf(m *model.Repository, named []string) (*model.Environment, error) {
	if len(named) == 0 {
		return localEnvironment(m, nil)
	}
	if _, err := environments(m, named); err != nil {
		return nil, err
	}
	e, _ := m.Environment(named[0])
	return e, nil
}

// inCluster reports whether the environment's secrets lie in its own cluster.
func (s *secrets) inCluster() bool { return s.env.Spec.Cloud == model.CloudLocal }

// client opens the cluster that holds the secrets.
func (a *app) secretClient(ctx context.Context, s *secrets) (*cluster.Client, error) {
	file, err := a.kubeconfigOf(ctx, &clusterOf{check: s.check, env: s.env})
	if err != nil {
		return nil, err
	}
	return cluster.Open(file)
}

// given makes sure that people may give the secret, and returns its path.
func (a *app) given(s *secrets) (string, error) {
	path := s.compiled.SecretPath(s.key)
	if unit, made := s.compiled.SecretMaker(path); made {
		return "", fmt.Errorf("%s is made by the unit %s, which keeps it: it is not for people to change", s.key, unit.Name)
	}
	return path, nil
}

// elsewhere says how a secret gets to where Strata does not keep it.
func (s *secrets) elsewhere(path string) error {
	env, store := s.env.Metadata.Name, ""
	if x := s.env.Spec.Secrets; x != nil {
		store, _ = x.Existing["store"].(string)
	}
	switch {
	case store != "":
		return fmt.Errorf("the secrets of %s lie in %s, and Strata does not hold them. Set this one there, under the path %s", env, store, path)
	case s.env.Spec.Cloud == "aws":
		return fmt.Errorf(`the secrets of %s lie in AWS Secrets Manager, and Strata does not hold them. With the account's credentials:
  aws secretsmanager create-secret    --region %[2]s --name %[3]s --secret-string file://VALUE        the first time
  aws secretsmanager put-secret-value --region %[2]s --secret-id %[3]s --secret-string file://VALUE   to change it
  aws secretsmanager delete-secret    --region %[2]s --secret-id %[3]s                                to remove it
The cluster fetches a changed value within an hour`, env, s.env.Spec.Region, path)
	}
	service := map[string]string{"gcp": "Google Secret Manager", "azure": "Azure Key Vault"}[s.env.Spec.Cloud]
	return fmt.Errorf("the secrets of %s lie in %s, and Strata does not hold them. Set this one there, under the path %s", env, service, path)
}

func (a *app) setSecret(ctx context.Context, s *secrets, file string) error {
	path, err := a.given(s)
	if err != nil {
		return err
	}
	if !s.inCluster() {
		return s.elsewhere(path)
	}
	c, err := a.secretClient(ctx, s)
	if err != nil {
		return err
	}
	value, err := a.secretValue(s.key, file)
	if err != nil {
		return err
	}
	if _, err := cluster.WriteSecret(ctx, c, path, value, true); err != nil {
		return err
	}
	env, given := s.env.Metadata.Name, s.compiled.SecretsGiven()
	fmt.Fprintf(a.stdout, "%s is set in %s. ", s.key, env)
	if users := given[path]; len(users) > 0 {
		fmt.Fprintf(a.stdout, "%s will have it after: %s up %s\n", strings.Join(users, ", "), a.self(), env)
		return nil
	}
	fmt.Fprint(a.stdout, "No workload asks for it")
	var keys []string
	for p := range given {
		keys = append(keys, s.compiled.SecretKey(p))
	}
	if near := suggest.Nearest(s.key, keys); near != "" {
		fmt.Fprintf(a.stdout, "; one asks for %s", near)
	}
	fmt.Fprintln(a.stdout, ".")
	return nil
}

// maxSecret is how long a value may be: etcd takes no more.
const maxSecret = 1 << 20

// secretValue reads a value.
func (a *app) secretValue(key, file string) (string, error) {
	var b []byte
	var err error
	in, isFile := a.stdin.(*os.File)
	asked := false
	switch {
	case file != "" && file != "-":
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		b, err = io.ReadAll(io.LimitReader(f, maxSecret+1))
		if err != nil {
			return "", err
		}
	case isFile && isTerminal(in):
		fmt.Fprintf(a.stderr, "Value of %s (it is not shown): ", key)
		b, err = term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(a.stderr)
		asked = true
	default:
		b, err = io.ReadAll(io.LimitReader(a.stdin, maxSecret+1))
	}
	if err != nil {
		return "", fmt.Errorf("read the value of %s: %w", key, err)
	}
	if file == "" && !asked {
		b = []byte(strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"))
	}
	switch {
	case len(b) == 0:
		return "", fmt.Errorf("the value of %s is empty, so nothing was changed", key)
	case len(b) > maxSecret:
		return "", fmt.Errorf("the value of %s is longer than 1 MiB, so nothing was changed", key)
	}
	return string(b), nil
}

func (a *app) removeSecret(ctx context.Context, s *secrets) error {
	path, err := a.given(s)
	if err != nil {
		return err
	}
	if !s.inCluster() {
		return s.elsewhere(path)
	}
	c, err := a.secretClient(ctx, s)
	if err != nil {
		return err
	}
	have, err := cluster.Secrets(ctx, c)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(have, func(i cluster.SecretInfo) bool { return i.Path == path }) {
		return fmt.Errorf("%s has no secret %s; %s secret ls %[1]s lists them", s.env.Metadata.Name, s.key, a.self())
	}
	if err := cluster.DeleteSecret(ctx, c, path); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s is removed from %s.\n", s.key, s.env.Metadata.Name)
	return nil
}

func (a *app) listSecrets(ctx context.Context, s *secrets, format string) error {
	list := view.Secrets{Environment: s.env.Metadata.Name, Elsewhere: !s.inCluster()}
	given := s.compiled.SecretsGiven()
	if s.inCluster() {
		c, err := a.secretClient(ctx, s)
		if err != nil {
			return err
		}
		have, err := cluster.Secrets(ctx, c)
		if err != nil {
			return err
		}
		for _, i := range have {
			row := view.Secret{Key: s.compiled.SecretKey(i.Path), Path: i.Path, State: view.SecretGiven, Changed: i.Changed, UsedBy: given[i.Path]}
			unit, made := s.compiled.SecretMaker(i.Path)
			switch {
			case made:
				row.State, row.Unit = view.SecretOfUnit, unit.Name
			case i.MadeUp:
				row.State = view.SecretMadeUp
			}
			list.Rows = append(list.Rows, row)
			delete(given, i.Path)
		}
	}
	for path, users := range given {
		state := view.SecretMissing
		if list.Elsewhere {
			state = view.SecretElsewhere
		}
		list.Rows = append(list.Rows, view.Secret{Key: s.compiled.SecretKey(path), Path: path, State: state, UsedBy: users})
	}
	list.Sort()
	if format == "json" {
		return list.JSON(a.stdout)
	}
	color, width := terminal(a.stdout)
	return list.Human(a.stdout, view.SecretsOptions{Color: color, Width: width, Now: a.today(), Program: a.self()})
}

// completeSecret completes [ENV] KEY with the keys that the description asks for.
func (a *app) completeSecret(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if len(args) == 0 {
		out, _ = a.completeEnvironments(c, nil, "")
	}
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	r, err := check.Load(c.Context(), a.dir)
	if err != nil {
		return out, cobra.ShellCompDirectiveNoFileComp
	}
	defer r.Close()
	if e, err := environmentOf(r.Model, args); err == nil && r.Model.Platform != nil {
		if compiled, err := r.Compile(e.Metadata.Name); err == nil {
			for path := range compiled.SecretsGiven() {
				out = append(out, compiled.SecretKey(path))
			}
		}
	}
	slices.Sort(out)
	return out, cobra.ShellCompDirectiveNoFileComp
}
