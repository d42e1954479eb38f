package view

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stratahq/strata/internal/term"
	"github.com/stratahq/strata/internal/webca"
)

// Identity is what is known of the roots of an environment's workloads.
type Identity struct {
	Environment, TrustDomain string
	// Leader is the replica of strata-control that leads; empty: none.
	Leader string
	// Rotation is when the root that signs is replaced by itself.
	Rotation time.Time
	// Roots are oldest first.
	Roots []IdentityRoot
	// Web is the CA of the gateways' certificates; nil where there is none.
	Web *webca.Status
}

// IdentityRoot is one root.
type IdentityRoot struct {
	ID        string    `json:"id"`
	Phase     string    `json:"phase"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	Published time.Time `json:"published,omitzero"`
	// Signs is when it begins to sign, Withdrawn when it is trusted no more.
	Signs     time.Time `json:"signs,omitzero"`
	Withdrawn time.Time `json:"withdrawn,omitzero"`
	// Issued is how many certificates it has signed for pods, the last of which ends at
	// LastExpiry.
	Issued     uint64    `json:"issued"`
	LastExpiry time.Time `json:"lastExpiry,omitzero"`
	// Trusted says that pods are told to trust it, as they should be.
	Trusted bool `json:"trusted"`
}

// JSON writes it as one versioned document.
func (v *Identity) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		Version     string         `json:"version"`
		Environment string         `json:"environment"`
		TrustDomain string         `json:"trustDomain"`
		Leader      string         `json:"leader,omitempty"`
		Rotation    time.Time      `json:"rotation,omitzero"`
		Roots       []IdentityRoot `json:"roots"`
		Web         *webca.Status  `json:"web,omitempty"`
	}{"1", v.Environment, v.TrustDomain, v.Leader, v.Rotation, append([]IdentityRoot{}, v.Roots...), v.Web})
}

// IdentityOptions says how Human shows it.
type IdentityOptions struct {
	Color bool
	Now   time.Time
}

// Human writes it for people.
func (v *Identity) Human(w io.Writer, opt IdentityOptions) error {
	p := term.Painter(opt.Color)
	var b strings.Builder
	line := func(text string) { b.WriteString(strings.TrimRight(text, " ") + "\n") }
	line("Trust domain " + p.Paint(term.Bold, term.Clean(v.TrustDomain)))
	line("")
	column := len("CERTIFICATES")
	line(p.Paint(term.Dim, pad("ROOT", 18)+pad("PHASE", 11)+pad("ENDS", 12)+left("CERTIFICATES", column)))
	for _, r := range v.Roots {
		style := term.Style("")
		switch {
		case !r.Trusted:
			style = term.Red
		case r.Phase == "signing":
			style = term.Green
		}
		text := pad(term.Clean(r.ID), 18) + p.Paint(style, pad(term.Clean(r.Phase), 11)) + pad(r.NotAfter.UTC().Format(time.DateOnly), 12) + left(thousands(int(r.Issued)), column)
		line(text + "  " + p.Paint(term.Dim, v.note(r, opt.Now)))
	}
	line("")
	v.web(line, p, opt.Now)
	if v.Leader == "" {
		line(p.Paint(term.Yellow, "Nobody signs: no strata-control leads.") + " Pods that run keep their certificates until those end;")
		line("new pods wait for theirs.")
	} else {
		line("Signed by " + term.Clean(v.Leader) + ".")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// web writes what is known of the CA and the gateways' certificates.
func (v *Identity) web(line func(string), p term.Painter, now time.Time) {
	if v.Web == nil {
		return
	}
	date := func(t time.Time) string { return pad(t.UTC().Format(time.DateOnly), 12) }
	line(p.Paint(term.Dim, pad("CA OF URLS", 18)+pad("PHASE", 11)+"ENDS"))
	for _, x := range v.Web.Authorities {
		style, note := term.Style(""), ""
		switch x.Phase {
		case webca.PhasePublished:
			note = "signs " + in(x.Signs.Sub(now))
		case webca.PhaseRetiring:
			note = "needed no more " + in(x.Withdrawn.Sub(now))
		case webca.PhaseSigning:
			style = term.Green
		}
		if !x.Replaced.IsZero() {
			note = strings.TrimPrefix(note+", next one from "+x.Replaced.UTC().Format(time.DateOnly), ", ")
		}
		line(pad(term.Clean(x.ID), 18) + p.Paint(style, pad(string(x.Phase), 11)) + date(x.NotAfter) + "  " + p.Paint(term.Dim, note))
	}
	line("")
	line(p.Paint(term.Dim, pad("GATEWAY", 18)+pad("RENEWED", 11)+"ENDS"))
	for _, x := range v.Web.Certificates {
		renewed := "by others"
		if !x.Foreign {
			renewed = in(x.Renewal.Sub(now))
		}
		line(pad(term.Clean(x.Gateway), 18) + pad(renewed, 11) + date(x.NotAfter) + "  " + p.Paint(term.Dim, term.Clean(strings.Join(x.Names, ", "))))
		for _, host := range x.LeftOut {
			line(pad("", 18) + p.Paint(term.Yellow, term.Clean(host)+" is left out: it is outside of the environment's domains"))
		}
	}
	line("")
}

// note says what comes next for a root.
func (v *Identity) note(r IdentityRoot, now time.Time) string {
	switch {
	case !r.Trusted:
		return "not in the pods' bundle"
	case r.Phase == "published" && r.Signs.IsZero():
		return "is being published"
	case r.Phase == "published":
		return "signs " + in(r.Signs.Sub(now))
	case r.Phase == "retiring":
		return "trusted no more " + in(r.Withdrawn.Sub(now))
	case r.Phase == "signing" && !v.Rotation.IsZero():
		return fmt.Sprintf("replaced on %s", v.Rotation.UTC().Format(time.DateOnly))
	}
	return ""
}

// in says when something is due.
func in(d time.Duration) string {
	if d <= 0 {
		return "at any moment"
	}
	return "in " + age(d)
}
