// Package needs says what becomes of a test that lacks something: root, a program of
// engines/, a database of the distribution.
package needs

import (
	"os"
	"testing"
)

// All is the environment variable that makes a test fail where it lacks something. `make
// test` sets it for root, since it has built and installed all that tests need.
const All = "STRATA_TEST_ALL"

// Skip skips a test that lacks something, and says what in words like "needs root, for a
// network namespace"; the test fails instead if All is set to anything.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(All) != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
