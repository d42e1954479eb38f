package plan

import (
	"bytes"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/stratahq/strata/internal/model"
)

// Namespace is what signatures are made for: ssh-keygen -Y sign -n strata. A
// signature made for git commits or files is none of a plan.
const Namespace = "strata"

// minRSA is the least number of bits of an RSA key that may approve.
const minRSA = 3072

// Approval is one person's signature over a plan's message.
type Approval struct {
	// Person is the e-mail address under which the platform file lists the key.
	Person string `json:"person"`
	// At is when the approval was added, as that machine's clock had it. It is not
	// signed, so nothing may rest on it.
	At time.Time `json:"at"`
	// Signature is an SSH signature in armoured form, as ssh-keygen -Y sign makes it.
	Signature string `json:"signature"`
}

// Reason says, in a sentence without its end, why an approval does not count or
// what is missing.
type Reason struct {
	// Person is whom it is about; empty when it is about the approvals in total.
	Person string `json:"person,omitempty"`
	Text   string `json:"text"`
}

// Error returns the text, so that a Reason can be an error.
func (r *Reason) Error() string { return r.Text }

func refuse(person, format string, args ...any) *Reason {
	return &Reason{person, fmt.Sprintf(format, args...)}
}

// Message returns what people sign. It is short and readable, because it is what
// they see when they sign by hand.
func (f *File) Message() []byte {
	return fmt.Appendf(nil, "strata plan v1\nenvironment %s\noperation %s\nseal %s\n", f.Plan.Environment, f.Plan.Operation, f.Seal)
}

// Sign approves a message in a person's name. The error is the signer's: a key that
// may not sign approvals, an agent that refused.
func Sign(signer ssh.Signer, person string, at time.Time, message []byte) (Approval, error) {
	if err := usable(signer.PublicKey()); err != nil {
		return Approval{}, err
	}
	sig, err := sshsig.Sign(bytes.NewReader(message), signer, sshsig.HashSHA512, Namespace)
	if err != nil {
		return Approval{}, fmt.Errorf("sign the plan: %w", err)
	}
	return Approval{Person: person, At: stamp(at), Signature: string(sshsig.Armor(sig))}, nil
}

// NewApproval makes an approval of a signature made elsewhere, in the armoured form
// that ssh-keygen writes. The error says that it is none.
func NewApproval(person string, at time.Time, armoured []byte) (Approval, error) {
	sig, err := unarmor(armoured)
	if err != nil {
		return Approval{}, err
	}
	return Approval{Person: person, At: stamp(at), Signature: string(sshsig.Armor(sig))}, nil
}

// stamp keeps of a time what people need of it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func unarmor(armoured []byte) (*sshsig.Signature, error) {
	if len(armoured) > maxApproval {
		return nil, fmt.Errorf("it is too long to be an SSH signature")
	}
	sig, err := sshsig.Unarmor(armoured)
	if err != nil {
		return nil, fmt.Errorf("it is no SSH signature (ssh-keygen -Y sign): %w", err)
	}
	return sig, nil
}

// Key returns the key that the approval claims to be signed with. The error says
// that there is no signature.
func (a Approval) Key() (ssh.PublicKey, error) {
	sig, err := unarmor([]byte(a.Signature))
	if err != nil {
		return nil, err
	}
	return sig.PublicKey, nil
}

func encodeApproval(a Approval) ([]byte, error) {
	data, err := canonical(a)
	if err != nil {
		return nil, fmt.Errorf("encode an approval: %w", err)
	}
	_, err = decodeApproval(data)
	return data, err
}

// decodeApproval accepts one form of each signature, so that there are no two files
// that say the same.
func decodeApproval(data []byte) (Approval, error) {
	var a Approval
	if err := decode(data, &a); err != nil {
		return Approval{}, err
	}
	sig, err := unarmor([]byte(a.Signature))
	if err != nil {
		return Approval{}, err
	}
	if string(sshsig.Armor(sig)) != a.Signature {
		return Approval{}, fmt.Errorf("the signature is not written as Strata writes it")
	}
	return a, nil
}

// signs checks that the approval's own key signed the message for this purpose. It
// says nothing of whose key that is.
func (a Approval) signs(message []byte) error {
	sig, err := unarmor([]byte(a.Signature))
	if err != nil {
		return refuse(a.Person, "the approval of %s cannot be read: %v", a.Person, err)
	}
	if err := usable(sig.PublicKey); err != nil {
		return refuse(a.Person, "%s signed with a key that may not approve: %v", a.Person, err)
	}
	if sig.Namespace != Namespace {
		return refuse(a.Person, "%s signed for %q, which is no approval of a plan (ssh-keygen -Y sign -n %s)", a.Person, sig.Namespace, Namespace)
	}
	if sig.HashAlgorithm != sshsig.HashSHA512 {
		return refuse(a.Person, "the signature of %s is over a %s digest; approvals are over sha512", a.Person, sig.HashAlgorithm)
	}
	if err := sshsig.Verify(bytes.NewReader(message), sig, sig.PublicKey, sshsig.HashSHA512, Namespace); err != nil {
		return refuse(a.Person, "the signature of %s is not over this plan", a.Person)
	}
	return nil
}

// Verify checks that an approval is one of that message by that person: the
// platform file knows the person, lists the key for them, and the signature is over
// the message, for this purpose. The error is a *Reason. Whether the person may
// approve is for Check to say.
func Verify(message []byte, a Approval, people map[string]model.Person) error {
	person, ok := people[a.Person]
	if !ok {
		return refuse(a.Person, "%s is not among the people of the platform file", a.Person)
	}
	key, err := a.Key()
	if err != nil {
		return refuse(a.Person, "the approval of %s cannot be read: %v", a.Person, err)
	}
	if !slices.ContainsFunc(Keys(person), func(k ssh.PublicKey) bool { return sameKey(k, key) }) {
		return refuse(a.Person, "the platform file does not list the key %s for %s", ssh.FingerprintSHA256(key), a.Person)
	}
	return a.signs(message)
}

// Keys returns the keys of a person; those that cannot be read are left out.
func Keys(p model.Person) []ssh.PublicKey {
	var out []ssh.PublicKey
	for _, line := range p.Keys {
		// A line with options would mean something that nobody checks here.
		key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
		if err == nil && len(options) == 0 && len(bytes.TrimSpace(rest)) == 0 {
			out = append(out, key)
		}
	}
	return out
}

// Owners returns whom the platform file lists a key for, sorted.
func Owners(key ssh.PublicKey, people map[string]model.Person) []string {
	var out []string
	for _, name := range model.SortedKeys(people) {
		if slices.ContainsFunc(Keys(people[name]), func(k ssh.PublicKey) bool { return sameKey(k, key) }) {
			out = append(out, name)
		}
	}
	return out
}

func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// usable says why a key may not sign approvals.
func usable(key ssh.PublicKey) error {
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	case ssh.KeyAlgoRSA:
		bits := 0
		if c, ok := key.(ssh.CryptoPublicKey); ok {
			if k, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok {
				bits = k.N.BitLen()
			}
		}
		if bits < minRSA {
			return fmt.Errorf("it is an RSA key of %d bits; at least %d are needed", bits, minRSA)
		}
		return nil
	}
	return fmt.Errorf("keys of type %s do not sign approvals", key.Type())
}

// samePerson compares e-mail addresses as people do.
func samePerson(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}
