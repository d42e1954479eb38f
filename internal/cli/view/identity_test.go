package view_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/cli/view"
	"github.com/stratahq/strata/internal/webca"
)

func TestIdentity(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	v := &view.Identity{
		Environment: "prod", TrustDomain: "prod.acme.example", Leader: "strata-control-5d9c", Rotation: now.Add(200 * day),
		Roots: []view.IdentityRoot{
			{ID: "0a1b2c3d4e5f6071", Phase: "retiring", NotAfter: now.Add(90 * day), Withdrawn: now.Add(5 * time.Hour), Issued: 12345, Trusted: true},
			{ID: "1a1b2c3d4e5f6071", Phase: "signing", NotAfter: now.Add(300 * day), Issued: 7, Trusted: true},
			{ID: "2a1b2c3d4e5f6071", Phase: "published", NotAfter: now.Add(365 * day), Signs: now.Add(12 * time.Minute), Trusted: true},
			{ID: "3a1b2c3d4e5f6071", Phase: "published", NotAfter: now.Add(365 * day)},
		},
	}
	var b strings.Builder
	if err := v.Human(&b, view.IdentityOptions{Now: now}); err != nil {
		t.Fatal(err)
	}
	want := `Trust domain prod.acme.example

ROOT              PHASE      ENDS        CERTIFICATES
0a1b2c3d4e5f6071  retiring   2026-07-30        12,345  trusted no more in 5 h
1a1b2c3d4e5f6071  signing    2027-02-25             7  replaced on 2026-11-17
2a1b2c3d4e5f6071  published  2027-05-01             0  signs in 12 m
3a1b2c3d4e5f6071  published  2027-05-01             0  not in the pods' bundle

Signed by strata-control-5d9c.
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	v.Roots = nil
	v.Web = &webca.Status{
		Authorities: []webca.AuthorityStatus{
			{ID: "0a1b2c3d4e5f6071", Phase: webca.PhaseRetiring, NotAfter: now.Add(400 * day), Withdrawn: now.Add(20 * day)},
			{ID: "1a1b2c3d4e5f6071", Phase: webca.PhaseSigning, NotAfter: now.Add(800 * day)},
			{ID: "2a1b2c3d4e5f6071", Phase: webca.PhasePublished, NotAfter: now.Add(1800 * day), Signs: now.Add(100 * day), Replaced: now.Add(900 * day)},
		},
		Certificates: []webca.CertificateStatus{
			{Gateway: "public", Names: []string{"acme.example", "*.acme.example"}, NotAfter: now.Add(30 * day), Renewal: now.Add(20 * day), LeftOut: []string{"shop.bank.example"}},
			{Gateway: "internal", Foreign: true, Names: []string{"internal.acme.example"}, NotAfter: now.Add(90 * day)},
		},
	}
	b.Reset()
	if err := v.Human(&b, view.IdentityOptions{Now: now}); err != nil {
		t.Fatal(err)
	}
	want = `CA OF URLS        PHASE      ENDS
0a1b2c3d4e5f6071  retiring   2027-06-05    needed no more in 20 d
1a1b2c3d4e5f6071  signing    2028-07-09
2a1b2c3d4e5f6071  published  2031-04-05    signs in 100 d, next one from 2028-10-17

GATEWAY           RENEWED    ENDS
public            in 20 d    2026-05-31    acme.example, *.acme.example
                  shop.bank.example is left out: it is outside of the environment's domains
internal          by others  2026-07-30    internal.acme.example
`
	if !strings.Contains(b.String(), want) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	v.Leader, v.Roots, v.Web = "", nil, nil
	b.Reset()
	if err := v.Human(&b, view.IdentityOptions{Now: now, Color: true}); err != nil || !strings.Contains(b.String(), "Nobody signs") {
		t.Errorf("without a leader: %v\n%s", err, b.String())
	}
}
