package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

func (a *app) kubeconfigCommand() *cobra.Command {
	var merge bool
	cmd := &cobra.Command{
		Use:   "kubeconfig [ENV]",
		Short: "Print how other programs reach an environment's cluster, or tell them",
		Long: `Kubeconfig prints a kubeconfig of the environment's cluster, for kubectl, k9s and the
like. For a node of this machine it holds the key of an administrator, which is valid
for a week and renewed meanwhile: print it anew then, and keep it to yourself.

With --merge it goes into the file that KUBECONFIG names first, or ~/.kube/config,
beside what is there, and becomes the current context. The file is replaced as a
whole, and only its owner may read it.

` + envRule,
		Example: "  strata kubeconfig local > local.kubeconfig\n  strata kubeconfig local --merge && kubectl get pods -A",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.ValidArgsFunction = a.completeEnvironments
	cmd.Flags().BoolVar(&merge, "merge", false, "write it into KUBECONFIG or ~/.kube/config")
	cmd.RunE = func(c *cobra.Command, args []string) (err error) {
		t, err := a.cluster(c.Context(), args)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.close()) }()
		name := nodeName(t.check.Model.Platform, t.env.Metadata.Name)
		cfg, err := oneContext(t.kubeconfig, "strata-"+name)
		if err != nil {
			return err
		}
		if !merge {
			b, err := clientcmd.Write(*cfg)
			if err != nil {
				return err
			}
			_, err = a.stdout.Write(b)
			return err
		}
		file, err := userKubeconfig()
		if err != nil {
			return err
		}
		if err := mergeKubeconfig(file, cfg); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s has the context %s now, and it is the current one.\n", file, cfg.CurrentContext)
		return nil
	}
	return cmd
}

// oneContext returns the current context of a kubeconfig and nothing else, complete in
// itself, with everything in it under one name, so that it cannot be mistaken for
// somebody else's.
func oneContext(file, name string) (*api.Config, error) {
	cfg, err := clientcmd.LoadFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	if err := clientcmd.ResolveLocalPaths(cfg); err != nil {
		return nil, err
	}
	if err := api.MinifyConfig(cfg); err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	if err := api.FlattenConfig(cfg); err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	old := cfg.Contexts[cfg.CurrentContext]
	out := api.NewConfig()
	out.Clusters[name], out.AuthInfos[name] = cfg.Clusters[old.Cluster], cfg.AuthInfos[old.AuthInfo]
	out.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name, Namespace: old.Namespace, Extensions: old.Extensions}
	out.CurrentContext = name
	for _, c := range out.Clusters {
		c.LocationOfOrigin = ""
	}
	for _, u := range out.AuthInfos {
		if u == nil {
			return nil, fmt.Errorf("kubeconfig %s: its current context names no user that it has", file)
		}
		u.LocationOfOrigin = ""
	}
	return out, nil
}

// userKubeconfig is the file that kubectl would write to.
func userKubeconfig() (string, error) {
	for _, f := range filepath.SplitList(os.Getenv("KUBECONFIG")) {
		if f != "" {
			return f, nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".kube", "config"), nil
}

// mergeKubeconfig writes a context into a kubeconfig and keeps what else is there.
func mergeKubeconfig(file string, add *api.Config) (err error) {
	// One that is a link stays one.
	if to, err := filepath.EvalSymlinks(file); err == nil {
		file = to
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	// kubectl keeps others out of the file with the same lock.
	lock, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there, so another program is writing %s; if none is, remove it", file+".lock", file)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close(), os.Remove(lock.Name())) }()
	have, err := clientcmd.LoadFromFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		have, err = api.NewConfig(), nil
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read, so nothing was written: %w", file, err)
	}
	maps.Copy(have.Clusters, add.Clusters)
	maps.Copy(have.AuthInfos, add.AuthInfos)
	maps.Copy(have.Contexts, add.Contexts)
	have.CurrentContext = add.CurrentContext
	b, err := clientcmd.Write(*have)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".kubeconfig-") // only its owner may read it
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
