package plan

import (
	"errors"
	"fmt"
)

// ErrDamaged is wrapped by errors about a file that is no plan, or no longer one:
// another kind of file, a part that cannot be read, a part that does not belong there.
var ErrDamaged = errors.New("this is no plan file, or it is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// SealError says that a part of a plan's file is not the one that was sealed.
type SealError struct {
	// What names the part: "the saved plan of prod/network".
	What string
	// Want is the sealed SHA-256 in hexadecimal, Got the one found; Got is empty
	// when the part is not there.
	Want, Got string
}

// Error names the part and both digests, shortened.
func (e *SealError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("%s was sealed (sha256 %s) but is not there", e.What, short(e.Want))
	}
	return fmt.Sprintf("%s differs from the sealed one (sha256 %s instead of %s)", e.What, short(e.Got), short(e.Want))
}

// FormatError says that a plan was made by a Strata that writes other plans than
// this one reads.
type FormatError struct {
	// Format is the plan's form; this Strata reads Format.
	Format int
	// Version is the version of Strata that made the plan.
	Version string
	// Environment is what the plan is of, if it says so.
	Environment string
}

// Error says who made the plan and what to do.
func (e *FormatError) Error() string {
	made := e.Version
	if made == "" {
		made = "an unknown version"
	}
	again := "plan again"
	if e.Environment != "" {
		again += " (strata plan " + e.Environment + ")"
	}
	if e.Format == Format {
		return fmt.Sprintf("the plan was made by Strata %q, which writes things that this Strata does not know: %s", made, again)
	}
	age := "an older"
	if e.Format > Format {
		age = "a newer"
	}
	return fmt.Sprintf("the plan was made by %s Strata, %q, in form %d; this one reads form %d: %s", age, made, e.Format, Format, again)
}

// short is enough of a digest to tell two apart by eye.
func short(digest string) string {
	if len(digest) > shortDigest {
		return digest[:shortDigest] + "..."
	}
	return digest
}

const shortDigest = 12
