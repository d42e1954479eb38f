package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/spf13/cobra"

	"github.com/stratahq/strata/internal/provider/standin"
	"github.com/stratahq/strata/internal/runner/tofu"
)

func (a *app) schemaPullCommand() *cobra.Command {
	var from, version, out, binary string
	var folders []string
	cmd := &cobra.Command{
		Use:   "pull PROVIDER [TYPE...]",
		Short: "Make the compact provider schema that stand-ins are served from",
		Long: `Pull trims a provider's schema to the resource types and data sources that are
in use: those named, and all that the OpenTofu files below --modules name. A data
source is written data.TYPE.

Without --from it asks the real provider, which needs the network. A repository
keeps the result as schemas/CLOUD.json; stand-ins then know its types too.`,
		Example: `  strata schema pull hashicorp/aws --modules modules -o schemas/aws.json
  strata schema pull hashicorp/aws aws_sqs_queue data.aws_vpc --from schemas.json --provider-version 5.46.0`,
		Args: cobra.MinimumNArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "document of `tofu providers schema -json`, may be gzipped")
	f.StringVar(&version, "provider-version", "", "version of the provider (required with --from; otherwise a constraint)")
	f.StringSliceVar(&folders, "modules", nil, "folders with OpenTofu files to take types from")
	f.StringVar(&out, "file", "", "file to write (default: standard output)")
	f.StringVar(&binary, "tofu", "tofu", "OpenTofu executable")
	cmd.RunE = func(c *cobra.Command, args []string) error {
		resources, data, err := typesIn(folders, args[0])
		if err != nil {
			return err
		}
		for _, t := range args[1:] {
			if name, ok := strings.CutPrefix(t, "data."); ok {
				data[name] = true
			} else {
				resources[t] = true
			}
		}
		var doc []byte
		if from != "" {
			if version == "" {
				return errors.New("--from needs --provider-version: the document does not say it")
			}
			doc, err = readMaybeGzip(from)
		} else {
			doc, version, err = askProvider(c.Context(), binary, args[0], version)
		}
		if err != nil {
			return err
		}
		s, err := standin.Pull(doc, args[0], version, sortedKeys(resources), sortedKeys(data))
		if err != nil {
			return err
		}
		s.Generated = "by `strata schema pull`; do not edit"
		b, err := json.MarshalIndent(s, "", " ")
		if err != nil {
			return err
		}
		b = append(b, '\n')
		if out == "" {
			_, err = a.stdout.Write(b)
			return err
		}
		if err := os.WriteFile(out, b, 0o644); err != nil { //nolint:gosec // a schema is for everybody
			return err
		}
		fmt.Fprintf(a.stdout, "%s: %s %s, %s, %s\n", out, s.Source, s.Version, plural(len(s.Resources), "resource type"), plural(len(s.Data), "data source"))
		return nil
	}
	return cmd
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// typesIn lists the types that the OpenTofu files below folders use, of one provider.
func typesIn(folders []string, provider string) (resources, data map[string]bool, err error) {
	resources, data = map[string]bool{}, map[string]bool{}
	prefix := provider[strings.LastIndexByte(provider, '/')+1:] + "_"
	for _, dir := range folders {
		err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || filepath.Ext(p) != ".tf" {
				return err
			}
			file, diags := hclparse.NewParser().ParseHCLFile(p)
			if diags.HasErrors() {
				return diags
			}
			body, ok := file.Body.(*hclsyntax.Body)
			if !ok {
				return nil
			}
			for _, b := range body.Blocks {
				if len(b.Labels) != 2 || !strings.HasPrefix(b.Labels[0], prefix) {
					continue
				}
				switch b.Type {
				case "resource":
					resources[b.Labels[0]] = true
				case "data":
					data[b.Labels[0]] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("read the modules below %s: %w", dir, err)
		}
	}
	return resources, data, nil
}

func readMaybeGzip(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
		return b, err
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	const most = 512 << 20
	return io.ReadAll(io.LimitReader(z, most))
}

// askProvider has OpenTofu download the provider and print its schema.
func askProvider(ctx context.Context, binary, source, constraint string) (doc []byte, version string, err error) {
	b, err := tofu.Find(ctx, binary)
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp("", "strata-schema-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(dir)
	need := map[string]any{"source": source}
	if constraint != "" {
		need["version"] = constraint
	}
	root, err := json.Marshal(map[string]any{"terraform": map[string]any{"required_providers": map[string]any{source[strings.LastIndexByte(source, '/')+1:]: need}}})
	if err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "main.tf.json"), root, 0o600); err != nil {
		return nil, "", err
	}
	run := func(args ...string) ([]byte, error) {
		return b.Run(ctx, dir, append(tofu.Environ(os.Environ(), true, nil), "TF_CLI_CONFIG_FILE="+os.DevNull), args...)
	}
	if _, err := run("init", "-no-color", "-input=false"); err != nil {
		return nil, "", err
	}
	var v struct {
		Providers map[string]string `json:"provider_selections"`
	}
	text, err := run("version", "-json")
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		return nil, "", err
	}
	for _, version = range v.Providers {
		break
	}
	doc, err = run("providers", "schema", "-json")
	return doc, version, err
}
