package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stratahq/strata/internal/image"
	"github.com/stratahq/strata/internal/term"
)

// ImageVersion is the version of the documents about images. Fields may be added to a
// version; a change of meaning makes a new one.
const ImageVersion = "1"

// Image is a recipe with the image that was built of it.
type Image struct {
	Name string
	// Source is "built-in" or the recipe's file.
	Source string
	// Image is nil where it is not built.
	Image *image.Image
	// Config and Shell, the reason for a shell, are for details alone.
	Config *v1.Config
	Shell  string
}

// imageRow is an image as a list for machines has it.
type imageRow struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	Built  bool   `json:"built"`
	Ref    string `json:"ref,omitempty"`
	Digest string `json:"digest,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Layers int    `json:"layers,omitempty"`
}

func (i Image) row() imageRow {
	r := imageRow{Name: i.Name, Source: i.Source, Built: i.Image != nil}
	if i.Image != nil {
		r.Ref, r.Digest, r.Size, r.Layers = i.Image.Ref(), i.Image.Digest, i.Image.Size, len(i.Image.Layers)
	}
	return r
}

// ImagesJSON writes a list of images as one JSON document.
func ImagesJSON(w io.Writer, list []Image) error {
	rows := []imageRow{}
	for _, i := range list {
		rows = append(rows, i.row())
	}
	return writeJSON(w, struct {
		Version string     `json:"version"`
		Images  []imageRow `json:"images"`
	}{ImageVersion, rows})
}

// Images writes a list of images for people.
func Images(w io.Writer, list []Image) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tDIGEST\tSIZE\tLAYERS\tRECIPE")
	for _, i := range list {
		if i.Image == nil {
			fmt.Fprintf(t, "%s\tnot built\t\t\t%s\n", i.Name, term.Clean(i.Source))
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", i.Name, i.Image.Digest[:len("sha256:")+12], mebibytes(i.Image.Size), len(i.Image.Layers), term.Clean(i.Source))
	}
	return t.Flush()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// ImageJSON writes all that is known of an image as one JSON document.
func ImageJSON(w io.Writer, i Image) error {
	layers := slices.Clone(i.Image.Layers)
	for n := range layers {
		layers[n].Key = "" // of the cache, which is nobody else's business
	}
	return writeJSON(w, struct {
		Version string `json:"version"`
		imageRow
		User       string        `json:"user"`
		Entrypoint []string      `json:"entrypoint,omitempty"`
		Env        []string      `json:"env,omitempty"`
		WorkDir    string        `json:"workDir,omitempty"`
		Shell      string        `json:"shell,omitempty"`
		Contents   []image.Layer `json:"contents"`
	}{ImageVersion, i.row(), i.Config.User, i.Config.Entrypoint, i.Config.Env, i.Config.WorkingDir, i.Shell, layers})
}

// ImageDetails writes all that is known of an image for people.
func ImageDetails(w io.Writer, i Image, width int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, term.Clean(value))
		}
	}
	line("image", i.Image.Ref())
	line("recipe", i.Source)
	line("size", mebibytes(i.Image.Size)+" compressed")
	line("user", i.Config.User)
	line("starts", strings.Join(i.Config.Entrypoint, " "))
	line("in", i.Config.WorkingDir)
	for n, e := range i.Config.Env {
		line(map[bool]string{true: "environment", false: " "}[n == 0], e)
	}
	line("shell", strings.Join(i.Image.Shells(), ", "))
	line("because", i.Shell)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range i.Image.Layers {
		fmt.Fprintf(w, "\nlayer %s, %s, %s\n", l.Recipe, mebibytes(l.Size), l.Digest)
		var words []string
		for _, p := range l.Packages {
			words = append(words, p.Name+" "+p.Version)
		}
		for _, m := range l.Modules {
			words = append(words, m.Path+" "+m.Version)
		}
		if len(words) == 0 {
			continue
		}
		for _, text := range term.Wrap(strings.Join(words, ", "), width, 2) {
			fmt.Fprintln(w, "  "+term.Clean(text))
		}
	}
	return nil
}
