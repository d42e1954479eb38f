package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stratahq/strata/internal/addr"
)

// SavedPlan is the name of the blob that holds a runner's saved plan.
const SavedPlan = "tofu.plan"

// Seal names a plan: the SHA-256, in hexadecimal, of all that it says and of the
// digests of all that belongs to it.
type Seal string

// Short returns enough of the seal to tell two apart by eye.
func (s Seal) Short() string {
	return string(s[:min(len(s), shortDigest)])
}

// manifest is what plan.json holds. Its bytes are what is sealed, so every other
// byte that matters has its digest in here.
type manifest struct {
	Plan *Plan `json:"plan"`
	// Blobs are SHA-256 sums by the name of the file's entry.
	Blobs map[string]string `json:"blobs"`
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// canonical writes JSON of which there is one form: what it decodes to, written
// again, is the same bytes.
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decode reads what canonical wrote and refuses every other form: a name twice, a
// field that nobody shows, text behind the end.
func decode(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	again, err := canonical(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return fmt.Errorf("it is not written as Strata writes it")
	}
	return nil
}

// encodeManifest returns the bytes to be sealed. It decodes them again, so that no
// plan is written that could not be read.
func encodeManifest(p *Plan, blobs map[string]string) ([]byte, error) {
	if p == nil {
		return nil, fmt.Errorf("there is no plan to write")
	}
	if p.Format != Format {
		return nil, fmt.Errorf("a plan of form %d cannot be written as form %d", p.Format, Format)
	}
	data, err := canonical(manifest{p, blobs})
	if err != nil {
		return nil, fmt.Errorf("encode the plan: %w", err)
	}
	if len(data) > maxManifest {
		return nil, fmt.Errorf("the plan takes %d MiB, more than the %d that a plan may have", len(data)>>20, maxManifest>>20)
	}
	if _, err := decodeManifest(data); err != nil {
		return nil, err
	}
	return data, nil
}

func decodeManifest(data []byte) (*manifest, error) {
	// What version it is comes first: of another one, nothing else can be judged.
	var head struct {
		Plan struct {
			Format      int    `json:"format"`
			Version     string `json:"version"`
			Environment string `json:"environment"`
		} `json:"plan"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, damaged("plan.json: %v", err)
	}
	if head.Plan.Format == 0 {
		return nil, damaged("plan.json says no format")
	}
	other := &FormatError{Format: head.Plan.Format, Version: head.Plan.Version}
	if isEnvironment(head.Plan.Environment) {
		other.Environment = head.Plan.Environment
	}
	if head.Plan.Format != Format {
		return nil, other
	}
	var m manifest
	if err := decode(data, &m); err != nil {
		if strings.Contains(err.Error(), "unknown field") {
			return nil, other
		}
		return nil, damaged("plan.json: %v", err)
	}
	return &m, m.validate()
}

// isEnvironment reports whether an environment can have a name.
func isEnvironment(name string) bool {
	_, err := addr.ParseUnit(name + "/x")
	return err == nil && !strings.Contains(name, "/")
}

var (
	hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
	blobName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
)

// validate checks what the rest relies on. An environment's name goes into the
// message that is signed, so it may hold no line break.
func (m *manifest) validate() error {
	p := m.Plan
	if !isEnvironment(p.Environment) {
		return damaged("%q is no name of an environment", p.Environment)
	}
	if !slices.Contains([]Operation{Apply, Destroy, Drift}, p.Operation) {
		return damaged("%q is no operation", p.Operation)
	}
	if p.Approvals.Required < 0 {
		return damaged("%d approvals are required", p.Approvals.Required)
	}
	units := map[addr.Unit]bool{}
	for _, u := range p.Units {
		if u.Addr.Env != p.Environment || units[u.Addr] {
			return damaged("unit %s is of another environment, or there twice", u.Addr)
		}
		units[u.Addr] = true
	}
	has := map[addr.Unit]map[string]bool{}
	for _, entry := range slices.Sorted(maps.Keys(m.Blobs)) {
		digest := m.Blobs[entry]
		u, _, ok := splitEntry(p.Environment, entry)
		if !ok || !units[u] {
			return damaged("%q belongs to no unit of the plan", entry)
		}
		if !hexDigest.MatchString(digest) {
			return damaged("%q has no digest", entry)
		}
		if has[u] == nil {
			has[u] = map[string]bool{}
		}
		has[u][digest] = true
	}
	for _, u := range p.Units {
		if u.Saved != "" && !has[u.Addr][u.Saved] {
			return damaged("the saved plan of %s (sha256 %s) is not among its files", u.Addr, short(u.Saved))
		}
	}
	return nil
}

// unitEntry is the name that a unit's blob has in the file.
func unitEntry(u addr.Unit, name string) string {
	return unitFolder + "/" + u.Name + "/" + name
}

// splitEntry is the reverse of unitEntry.
func splitEntry(env, entry string) (u addr.Unit, name string, ok bool) {
	rest, ok := strings.CutPrefix(entry, unitFolder+"/")
	if !ok {
		return addr.Unit{}, "", false
	}
	folder, name := path.Split(rest)
	u, err := addr.ParseUnit(env + "/" + strings.TrimSuffix(folder, "/"))
	if err != nil || !blobName.MatchString(name) {
		return addr.Unit{}, "", false
	}
	return u, name, true
}

// blobWords names a blob as people do.
func blobWords(u addr.Unit, name string) string {
	if name == SavedPlan {
		return "the saved plan of " + u.String()
	}
	return name + " of " + u.String()
}

// Difference is one thing that is no longer what a plan was made from.
type Difference struct {
	// What is "model", "modules", "policy" or "findings".
	What string
	// Want is the plan's digest, Got the one of now.
	Want, Got string
}

// String says it in a sentence without its end.
func (d Difference) String() string {
	return fmt.Sprintf("the %s changed since the plan was made (sha256 %s, was %s)", d.What, short(d.Got), short(d.Want))
}

// Differs compares what the plan was made from with what is there now. It returns
// nothing when the plan still fits.
func (p *Plan) Differs(now Digests) []Difference {
	var out []Difference
	for _, d := range []Difference{
		{"model", p.Digests.Model, now.Model},
		{"modules", p.Digests.Modules, now.Modules},
		{"policy", p.Digests.Policy, now.Policy},
		{"findings", p.Digests.Findings, now.Findings},
	} {
		if d.Want != d.Got {
			out = append(out, d)
		}
	}
	return out
}
