package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/term"

	"github.com/stratahq/strata/internal/check"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/plan"
	"github.com/stratahq/strata/internal/store"
)

// approveFlags are the flags of approve.
type approveFlags struct {
	store          string
	key, signature string
	as             string
	message, yes   bool
}

func (a *app) approveCommand() *cobra.Command {
	var f approveFlags
	cmd := &cobra.Command{
		Use:   "approve PLAN",
		Short: "Sign a plan, so that it may be applied",
		Long: `Approve shows a plan and signs its seal with your SSH key. The key must be one
that strata.yaml lists for you. It comes from the SSH agent, or from the file that
--key names. The approval is kept in the plan's file, and holds for exactly this
plan: nobody can change what it does without breaking the seal.

A key that Strata cannot use itself, on a card that only ssh-keygen knows for
example, signs by hand:

  strata approve prod.plan --message > seal.txt
  ssh-keygen -Y sign -n strata -f ~/.ssh/id_ed25519_sk seal.txt
  strata approve prod.plan --signature seal.txt.sig

Exit codes: 0 approved, and nothing is missing any more; 1 error; 2 approved, and
further approvals are needed.`,
		Example: `  strata approve prod.plan
  strata approve prod.plan --as mara.keane@acme.example --key ~/.ssh/id_ed25519`,
		Args: cobra.ExactArgs(1),
	}
	fl := cmd.Flags()
	fl.StringVar(&f.store, "store", os.Getenv("STRATA_STORE"), "where the audit trail is kept (default .strata/strata.db; STRATA_STORE)")
	fl.StringVar(&f.key, "key", "", "private SSH key to sign with (default: the SSH agent's)")
	fl.StringVar(&f.signature, "signature", "", "signature that ssh-keygen made")
	fl.StringVar(&f.as, "as", "", "who approves (default: STRATA_WHO, or git's user.email)")
	fl.BoolVar(&f.message, "message", false, "print what is to be signed, and do nothing else")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.MarkFlagsMutuallyExclusive("key", "signature", "message")
	cmd.RunE = func(c *cobra.Command, args []string) error { return a.approve(c.Context(), args[0], &f) }
	return cmd
}

func (a *app) approve(ctx context.Context, name string, f *approveFlags) (err error) {
	file, err := plan.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if f.message {
		_, err := a.stdout.Write(file.Message())
		return err
	}
	r, err := a.load(ctx, file.Plan.Environment)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	people, req := r.Model.Platform.Spec.People, requirementOf(r, file.Plan.Environment)
	who, host := a.whoami(ctx)
	if f.as != "" {
		who = f.as
	}
	if why := plan.MayApprove(who, file.Plan.Author, people, req); why != nil {
		return fmt.Errorf("%w. Nothing was signed", why)
	}
	if file.Plan.Denied() {
		return fmt.Errorf("policy denies this plan, so it could never be applied: %s show %s says why. Nothing was signed", a.self(), name)
	}
	if !f.yes {
		if err := a.showPlan(file, planShow{format: "text", read: r.Repo.Read, passing: true}); err != nil {
			return err
		}
		ok, err := a.ask(fmt.Sprintf("Approve this plan for %s as %s?", file.Plan.Environment, who))
		if err != nil {
			return err
		}
		if !ok {
			fmt.Fprintln(a.stderr, "Nothing was signed.")
			return exitError{ExitError}
		}
	}
	approval, err := a.sign(file, who, people, f)
	if err != nil {
		return err
	}
	if err := plan.Verify(file.Message(), approval, people); err != nil {
		return fmt.Errorf("%w. Nothing was added to the plan", err)
	}
	if err := file.AddApproval(approval); err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"seal": file.Seal, "offline": file.Plan.Offline})
	if err != nil {
		return err
	}
	err = a.records(ctx, &storeFlags{offline: file.Plan.Offline, store: f.store}, func(s store.Store) error {
		return s.Audit(ctx, store.Entry{
			At: a.today().UTC(), Who: who, Host: host, Action: "plan-approved", Environment: file.Plan.Environment, Subject: file.Seal.Short(), Data: data,
		})
	})
	if err != nil {
		return err
	}
	return a.approved(file, who, plan.Check(file, people, req, a.today()))
}

// approved says what a plan's approvals come to now.
func (a *app) approved(file *plan.File, who string, verdict plan.Verdict) error {
	fmt.Fprintf(a.stdout, "%s approved %s of %s.\n", who, file.Seal.Short(), file.Plan.Environment)
	if verdict.OK() {
		fmt.Fprintf(a.stdout, "Nothing is missing any more: %s apply %s\n", a.self(), a.shown(file.Path()))
		return nil
	}
	for _, m := range verdict.Missing {
		fmt.Fprintln(a.stdout, m.Text+".")
	}
	return exitError{ExitFindings}
}

// sign makes the approval with whatever key there is.
func (a *app) sign(file *plan.File, who string, people map[string]model.Person, f *approveFlags) (plan.Approval, error) {
	switch {
	case f.signature != "":
		armoured, err := os.ReadFile(f.signature)
		if err != nil {
			return plan.Approval{}, err
		}
		return plan.NewApproval(who, a.today(), armoured)
	case f.key != "":
		signer, err := a.privateKey(f.key)
		if err != nil {
			return plan.Approval{}, err
		}
		return plan.Sign(signer, who, a.today(), file.Message())
	}
	var out plan.Approval
	err := agentKey(plan.Keys(people[who]), func(signer ssh.Signer) (err error) {
		out, err = plan.Sign(signer, who, a.today(), file.Message())
		return err
	})
	return out, err
}

// privateKey reads a private key and asks for its passphrase where it has one.
func (a *app) privateKey(name string) (ssh.Signer, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		if err != nil {
			return nil, fmt.Errorf("%s is no private SSH key: %w", name, err)
		}
		return signer, nil
	}
	in, ok := a.stdin.(*os.File)
	if !ok || !isTerminal(in) {
		return nil, fmt.Errorf("%s has a passphrase, and there is no terminal to ask for it; add the key to the SSH agent: ssh-add %s", name, name)
	}
	fmt.Fprintf(a.stderr, "Passphrase of %s: ", name)
	pass, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(a.stderr)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKeyWithPassphrase(text, pass)
}

// agentKey uses the first of the SSH agent's keys that is one of a person's.
func agentKey(keys []ssh.PublicKey, use func(ssh.Signer) error) error {
	const remedy = "ssh-add the key, or name its file with --key"
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return errors.New("there is no SSH agent (SSH_AUTH_SOCK is not set); " + remedy)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("the SSH agent does not answer: %w; %s", err, remedy)
	}
	defer conn.Close()
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		return fmt.Errorf("the SSH agent lists no keys: %w; %s", err, remedy)
	}
	var wanted []string
	for _, k := range keys {
		wanted = append(wanted, ssh.FingerprintSHA256(k))
	}
	for _, s := range signers {
		if slices.Contains(wanted, ssh.FingerprintSHA256(s.PublicKey())) {
			return use(s)
		}
	}
	return fmt.Errorf("the SSH agent has none of your keys (%s); %s", strings.Join(wanted, ", "), remedy)
}

// requirementOf is what an environment asks of plans now, whatever a plan says.
func requirementOf(r *check.Result, env string) plan.Requirement {
	e, ok := r.Model.Environment(env)
	if !ok || e.Spec.Approvals == nil {
		return plan.Requirement{}
	}
	return plan.Requirement{Required: e.Spec.Approvals.Required, Groups: e.Spec.Approvals.Groups, NotAuthor: e.Spec.Approvals.NotAuthor}
}
