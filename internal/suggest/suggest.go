// Package suggest finds the name that somebody probably meant. It knows no
// domain: callers pass the names that would have been right.
package suggest

import (
	"strings"

	"github.com/agext/levenshtein"
)

// Nearest returns the candidate most like name, or "" when none is close
// enough to be helpful. Case and the separators '-' and '_' do not count. Of
// equally near candidates the first wins.
func Nearest(name string, candidates []string) string {
	want := fold(name)
	best, bestDist := "", 1<<30
	for _, c := range candidates {
		have := fold(c)
		dist := levenshtein.Distance(want, have, nil)
		if dist < bestDist {
			best, bestDist = c, dist
		}
	}
	// About a third of the letters may be wrong; beyond that a guess misleads. Two
	// letters that changed places count as two.
	if bestDist <= (len(want)+2)/3 {
		return best
	}
	return ""
}

func fold(s string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s))
}
