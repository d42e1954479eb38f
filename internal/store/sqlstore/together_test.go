package sqlstore_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stratahq/strata/internal/store/sqlstore"
)

// TestOpenTogether opens a store that somebody else is just making: sqlite turns away
// who asks for a write-ahead log in that moment, and the store waits for its turn.
func TestOpenTogether(t *testing.T) {
	for _, holds := range []string{"BEGIN EXCLUSIVE", "BEGIN IMMEDIATE"} {
		file := filepath.Join(t.TempDir(), "strata.db")
		other, err := sql.Open("sqlite", "file:"+file)
		if err != nil {
			t.Fatal(err)
		}
		other.SetMaxOpenConns(1)
		if _, err := other.Exec(holds); err != nil {
			t.Fatal(err)
		}
		opened := make(chan error, 1)
		go func() {
			d, err := sqlstore.Open(t.Context(), file)
			if err == nil {
				err = d.Close()
			}
			opened <- err
		}()
		select {
		case err := <-opened:
			t.Fatalf("%s: it did not wait: %v", holds, err)
		case <-time.After(500 * time.Millisecond): // long enough to be turned away
		}
		if _, err := other.Exec("COMMIT"); err != nil {
			t.Fatal(err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-opened; err != nil {
			t.Errorf("%s: %v", holds, err)
		}
	}
}
