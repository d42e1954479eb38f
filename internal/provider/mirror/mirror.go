// Package mirror lays out providers that this program serves where OpenTofu finds
// them: a filesystem mirror whose executables are small scripts that run Strata.
// What the providers do is their own packages' business.
package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Provider is one provider of a mirror.
type Provider struct {
	// Source is the provider's full address, HOST/NAMESPACE/TYPE.
	Source string
	// Version is the version under which OpenTofu installs it.
	Version string
	// Command runs it; the first word is the path of an executable.
	Command []string
}

// Write lays the providers out in dir, in the unpacked form of
// https://opentofu.org/docs/cli/config/config-file/#filesystem_mirror. Files that
// are right already are left alone.
func Write(dir string, providers []Provider) error {
	for _, p := range providers {
		parts := strings.Split(p.Source, "/")
		if len(parts) != 3 || len(p.Command) == 0 {
			return fmt.Errorf("provider %q: want HOST/NAMESPACE/TYPE and a command", p.Source)
		}
		folder := filepath.Join(dir, parts[0], parts[1], parts[2], p.Version, runtime.GOOS+"_"+runtime.GOARCH)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("mirror of %s: %w", p.Source, err)
		}
		if err := script(filepath.Join(folder, "terraform-provider-"+parts[2]+"_v"+p.Version), p.Command); err != nil {
			return fmt.Errorf("mirror of %s: %w", p.Source, err)
		}
	}
	return nil
}

// script writes an executable that becomes the command.
func script(path string, command []string) error {
	words := make([]string, len(command))
	for i, w := range command {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	text := "#!/bin/sh\nexec " + strings.Join(words, " ") + " \"$@\"\n"
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(text)
	if err = errors.Join(err, tmp.Chmod(0o700), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// CLIConfig returns the text of an OpenTofu CLI configuration. Providers that the
// mirror has come from there. direct lets others be downloaded; cache is a folder
// that keeps those, or empty.
func CLIConfig(dir string, sources []string, cache string, direct bool) []byte {
	var b strings.Builder
	b.WriteString("# Written by Strata for its own OpenTofu processes.\n")
	b.WriteString("disable_checkpoint = true\n")
	if cache != "" && direct {
		fmt.Fprintf(&b, "plugin_cache_dir = %s\n", quote(cache))
	}
	b.WriteString("provider_installation {\n")
	if len(sources) > 0 || !direct {
		list := make([]string, len(sources))
		for i, s := range sources {
			list[i] = quote(s)
		}
		fmt.Fprintf(&b, "  filesystem_mirror {\n    path    = %s\n    include = [%s]\n  }\n", quote(dir), strings.Join(list, ", "))
		if direct {
			fmt.Fprintf(&b, "  direct {\n    exclude = [%s]\n  }\n", strings.Join(list, ", "))
		}
	} else {
		b.WriteString("  direct {}\n")
	}
	b.WriteString("}\n")
	return []byte(b.String())
}

// quote writes a text as HCL does.
func quote(s string) string {
	r := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", "$${", "%{", "%%{", "\n", `\n`)
	return `"` + r.Replace(s) + `"`
}
