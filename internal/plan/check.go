package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/stratahq/strata/internal/model"
)

// skew is by how much the clocks of two people's machines may differ.
const skew = 15 * time.Minute

// Verdict says whether a plan's approvals suffice.
type Verdict struct {
	// Approved are the people whose approvals count, in the order of the file.
	Approved []string `json:"approved"`
	// Missing says what is missing, first in total, then why approvals that are
	// there do not count. It is empty when nothing is.
	Missing []Reason `json:"missing,omitempty"`
	// Refused says which approvals do not count, and why, whether they are needed
	// or not.
	Refused []Reason `json:"refused,omitempty"`
}

// OK reports whether the approvals suffice.
func (v Verdict) OK() bool { return len(v.Missing) == 0 }

// Check judges a file's approvals by what the platform file and the environment say
// now; that the plan lists the same requirement is not relied on. Each person counts
// once and each key counts once, even one that is listed for two people.
func Check(f *File, people map[string]model.Person, req Requirement, now time.Time) Verdict {
	v := Verdict{Approved: []string{}}
	keys := map[string]string{}
	for _, a := range f.Approvals {
		if r := counts(f, a, people, req, now, v.Approved, keys); r != nil {
			v.Refused = append(v.Refused, *r)
			continue
		}
		v.Approved = append(v.Approved, a.Person)
	}
	if len(v.Approved) < req.Required {
		v.Missing = append([]Reason{{Text: shortfall(req, v.Approved)}}, v.Refused...)
	}
	return v
}

// counts returns why an approval does not count beside those that do, and notes its
// key if it does.
func counts(f *File, a Approval, people map[string]model.Person, req Requirement, now time.Time, approved []string, keys map[string]string) *Reason {
	if err := MayApprove(a.Person, f.Plan.Author, people, req); err != nil {
		return err
	}
	if err := Verify(f.Message(), a, people); err != nil {
		return refuse(a.Person, "%v", err)
	}
	// Verify has read the key.
	key, _ := a.Key()
	if req.NotAuthor {
		for _, owner := range Owners(key, people) {
			if samePerson(owner, f.Plan.Author) {
				return refuse(a.Person, "the key that %s signed with is the plan's author's, who may not approve it", a.Person)
			}
		}
	}
	switch at := a.At; {
	case at.After(now.Add(skew)):
		return refuse(a.Person, "the approval of %s is dated %s, which is yet to come", a.Person, at.UTC().Format(time.RFC3339))
	case at.Before(f.Plan.Created.Add(-skew)):
		return refuse(a.Person, "the approval of %s is dated %s, before the plan was made", a.Person, at.UTC().Format(time.RFC3339))
	}
	if slices.ContainsFunc(approved, func(p string) bool { return samePerson(p, a.Person) }) {
		return refuse(a.Person, "%s approved more than once; that counts once", a.Person)
	}
	print := ssh.FingerprintSHA256(key)
	if by := keys[print]; by != "" {
		return refuse(a.Person, "%s signed with the same key as %s; a key counts once", a.Person, by)
	}
	keys[print] = a.Person
	return nil
}

// MayApprove says why an approval of a person could not count, whatever it is signed
// with: nil when it could.
func MayApprove(person, author string, people map[string]model.Person, req Requirement) *Reason {
	p, ok := people[person]
	if !ok {
		return refuse(person, "%s is not among the people of the platform file", person)
	}
	if req.NotAuthor && samePerson(person, author) {
		return refuse(person, "%s is the plan's author and may not approve it", person)
	}
	if len(req.Groups) > 0 && !slices.ContainsFunc(p.Groups, func(g string) bool { return slices.Contains(req.Groups, g) }) {
		return refuse(person, "%s is in none of the groups that may approve (%s)", person, strings.Join(req.Groups, ", "))
	}
	return nil
}

func shortfall(req Requirement, approved []string) string {
	need := fmt.Sprintf("%d approvals are needed", req.Required)
	if req.Required == 1 {
		need = "1 approval is needed"
	}
	switch len(approved) {
	case 0:
		return need + ", none is there"
	case 1:
		return need + ", 1 is there (" + approved[0] + ")"
	}
	return fmt.Sprintf("%s, %d are there (%s)", need, len(approved), strings.Join(approved, ", "))
}
