package stack

import (
	"crypto/sha256"
	"encoding/hex"
)

// local renders roots for this machine, with Strata's own provider.
type local struct{}

func (local) requirement() requirement {
	return requirement{"strata", "stratahq/strata", ">= 0.1, < 2"}
}

func (local) cluster(*scope) object { return nil }

func (local) moduleInputs(*scope) object { return nil }

func (local) provider(s *scope) object {
	return object{
		"platform":    escape(s.Platform),
		"environment": escape(s.Environment),
		"labels":      escapeStrings(s.tags()),
	}
}

// localBackend keeps state in a file of this machine.
func localBackend(s *scope, _ string) object {
	path := "terraform.tfstate"
	if s.StatePath != nil {
		path = s.StatePath(s.unit.Addr)
	}
	return object{"path": escape(path)}
}

// maxSchemaName is the longest name that PostgreSQL keeps whole.
const maxSchemaName = 63

// pgBackend gives each unit a schema of its own, since a schema is what the
// backend locks. Where the database is comes from PG_CONN_STR: it holds a
// password and must not be in a file.
func pgBackend(_ *scope, key string) object {
	if len(key) > maxSchemaName {
		sum := sha256.Sum256([]byte(key))
		key = key[:maxSchemaName-17] + "-" + hex.EncodeToString(sum[:8])
	}
	return object{"schema_name": escape(key)}
}
