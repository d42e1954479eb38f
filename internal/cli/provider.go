package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/model"
	"github.com/stratahq/strata/internal/node"
	"github.com/stratahq/strata/internal/provider/mirror"
	"github.com/stratahq/strata/internal/provider/standin"
	"github.com/stratahq/strata/internal/provider/strata"
	"github.com/stratahq/strata/internal/runner/tofu"
	"github.com/stratahq/strata/schemas"
)

// providerCommand is what OpenTofu runs: nobody types it.
func (a *app) providerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "provider", Hidden: true, Short: "Serve an OpenTofu provider"}
	var o struct {
		standIn, schema, cloud, account, region string
		secrets, repository, images, nodes      string
		registry                                string
		fixtures, faults                        []string
	}
	serve := &cobra.Command{
		Use:   "serve",
		Short: "Speak OpenTofu's plugin protocol on standard output",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			go dieWithParent()
			if o.standIn == "" {
				if err := os.Setenv("STRATA_NODES", o.nodes); err != nil {
					return err
				}
				self, err := os.Executable()
				if err != nil {
					return fmt.Errorf("find this program: %w", err)
				}
				return strata.Serve(c.Context(), strata.Options{Secrets: o.secrets, Repository: o.repository, Images: o.images, Registry: o.registry, Program: self})
			}
			opt := standin.Options{Cloud: o.cloud, Account: o.account, Region: o.region}
			var err error
			if file, ok := strings.CutPrefix(o.account, "@"); ok {
				b, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				opt.Account = strings.TrimSpace(string(b))
			}
			if opt.Schema, opt.Facts, err = carried(o.standIn, o.schema); err != nil {
				return err
			}
			for _, file := range o.fixtures {
				b, err := os.ReadFile(file)
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					return err
				}
				list, err := standin.DecodeFixtures(b)
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				opt.Fixtures = append(opt.Fixtures, list...)
			}
			for _, text := range o.faults {
				f, err := standin.ParseFault(text)
				if err != nil {
					return err
				}
				opt.Faults = append(opt.Faults, f)
			}
			return standin.New(opt).Serve()
		},
	}
	f := serve.Flags()
	f.StringVar(&o.standIn, "stand-in", "", "cloud whose provider to stand in for (default: Strata's own provider)")
	f.StringVar(&o.secrets, "secrets", "", "folder that is the environment's secret store")
	f.StringVar(&o.repository, "repository", "", "folder that relative paths are of")
	f.StringVar(&o.images, "images", "", "folder that images are cached in")
	f.StringVar(&o.registry, "registry", "", "registry that a cluster of somebody else's gets images from")
	f.StringVar(&o.nodes, "nodes", "", "folder that nodes are kept in")
	f.StringVar(&o.schema, "schema", "", "compact schema (default: the carried one)")
	f.StringVar(&o.cloud, "cloud", "", "folder that plays the cloud")
	f.StringVar(&o.account, "account", "", "account that the credentials are of; @FILE names a file that says it")
	f.StringVar(&o.region, "region", "", "region where the configuration names none")
	f.StringArrayVar(&o.fixtures, "fixtures", nil, "files with answers of data sources")
	f.StringArrayVar(&o.faults, "fault", nil, "what goes wrong: type=T,op=O,nth=N,do=crash|lose|hang|sleep:D|error:TEXT")
	cmd.AddCommand(serve)
	return cmd
}

// dieWithParent ends this process when the OpenTofu that started it is gone: a
// provider is of no use to anybody else, and one that stays would hold on to files.
func dieWithParent() {
	parent := os.Getppid()
	for {
		time.Sleep(200 * time.Millisecond)
		if os.Getppid() != parent {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	}
}

// carried returns the schema and the facts of a cloud's provider. file takes the
// place of the carried schema.
func carried(cloud, file string) (*standin.Schema, standin.Facts, error) {
	if cloud == model.CloudLocal && file == "" {
		answer, err := strata.Schema(context.Background())
		if err != nil {
			return nil, nil, err
		}
		schema, err := standin.Served(strata.Source, strata.Version, answer)
		return schema, standin.Facts{}, err
	}
	var data []byte
	var err error
	if file != "" {
		data, err = os.ReadFile(file)
	} else {
		data, err = schemas.Providers.ReadFile(cloud + "/schema.json")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("there is no schema for stand-ins of %q: %w", cloud, err)
	}
	schema, err := standin.Decode(data)
	if err != nil {
		return nil, nil, err
	}
	facts, err := factsOf(cloud)
	if err != nil {
		return nil, nil, err
	}
	return schema, facts, schema.Complete(facts)
}

func factsOf(cloud string) (standin.Facts, error) {
	facts := standin.Facts{}
	files, err := fs.Glob(schemas.Providers, cloud+"/facts/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		b, err := schemas.Providers.ReadFile(f)
		if err != nil {
			return nil, err
		}
		more, err := standin.DecodeFacts(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		if err := facts.Merge(more); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
	}
	return facts, nil
}

// providers lays out the providers that this program serves. It returns OpenTofu's
// CLI configuration and a text that stands for those providers.
func (a *app) providers(s *session, f *engineFlags) (rc []byte, served string, err error) {
	cloud := s.target.Compiled.Environment().Spec.Cloud
	cache := ""
	// What this program serves itself needs no cache: one that programs of different
	// builds shared would have each replace what the others use.
	if dir, err := os.UserCacheDir(); err == nil && !f.offline && cloud != model.CloudLocal {
		cache = filepath.Join(dir, "strata", "plugins")
		if err := os.MkdirAll(cache, 0o700); err != nil {
			return nil, "", err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("find this program: %w", err)
	}
	own, err := a.ownProvider(self, s.work.secrets(), pushRegistry(s.target.Compiled.Environment()))
	if err != nil {
		return nil, "", err
	}
	list := []mirror.Provider{own}
	if f.offline {
		standIns, err := a.cloudStandIns(s, f, self, cloud)
		if err != nil {
			return nil, "", err
		}
		// Offline nothing of this machine is touched either.
		if list = append(list, standIns...); cloud == model.CloudLocal {
			list = list[1:]
		}
	}
	if err := mirror.Write(s.work.mirror(), list); err != nil {
		return nil, "", err
	}
	sources := make([]string, len(list))
	var commands strings.Builder
	for i, p := range list {
		sources[i] = p.Source
		commands.WriteString(strings.Join(p.Command, "\x00") + "\n")
	}
	return mirror.CLIConfig(s.work.mirror(), sources, cache, !f.offline), commands.String(), nil
}

// ownProvider is the provider strata. A tofu process has a clean environment, so that
// it is told where everything is.
func (a *app) ownProvider(self, secrets, registry string) (mirror.Provider, error) {
	root, err := filepath.Abs(a.dir)
	if err != nil {
		return mirror.Provider{}, err
	}
	images, err := image.DefaultCache()
	if err != nil {
		return mirror.Provider{}, err
	}
	return mirror.Provider{Source: strata.Source, Version: strata.Version, Command: []string{
		self, "provider", "serve", "--secrets", secrets, "--repository", root, "--images", images, "--registry", registry, "--nodes", node.Root(),
	}}, nil
}

// cloudStandIns are the stand-ins for a cloud's provider and for those that work in its
// clusters.
func (a *app) cloudStandIns(s *session, f *engineFlags, self, cloud string) ([]mirror.Provider, error) {
	if err := os.MkdirAll(s.work.cloud(), 0o700); err != nil {
		return nil, err
	}
	var flags []string
	for _, dir := range s.work.moduleFolders(s.target.Compiled) {
		file := filepath.Join(dir, "fixtures.yaml")
		if exists(file) {
			flags = append(flags, "--fixtures", file)
		}
	}
	return a.standIns(self, cloud, s.work.cloud(), append(flags, f.standIn...))
}

// helmProvider is what the stand-in of the provider that installs charts is called.
const helmProvider = "helm"

// standIns are the stand-ins that roots and modules of a cloud may need. They keep their
// objects in the folder called world.
func (a *app) standIns(self, cloud, world string, flags []string) ([]mirror.Provider, error) {
	names := []string{cloud}
	if cloud != model.CloudLocal {
		names = append(names, helmProvider)
	}
	out := make([]mirror.Provider, 0, len(names))
	for _, name := range names {
		schema, _, err := carried(name, a.ownSchema(name))
		if err != nil {
			return nil, err
		}
		command := []string{self, "provider", "serve", "--stand-in", name, "--cloud", world}
		if own := a.ownSchema(name); own != "" {
			command = append(command, "--schema", own)
		}
		out = append(out, mirror.Provider{Source: schema.Source, Version: schema.Version, Command: append(command, flags...)})
	}
	return out, nil
}

// ownSchema is the file of the repository's own compact schema of a cloud's
// provider, or "".
func (a *app) ownSchema(cloud string) string {
	file, err := filepath.Abs(filepath.Join(a.dir, "schemas", cloud+".json"))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

// adopters find what a killed run left in each cloud.
var adopters = map[string]tofu.Adopter{model.CloudAWS: awsAdopter{}}
