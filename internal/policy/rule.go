package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/stratahq/strata/internal/model"
)

// Stage is what a rule judges.
type Stage string

// The stages; each is a Rego package below "strata".
const (
	StageModel   Stage = "model"
	StageObjects Stage = "objects"
	StagePlan    Stage = "plan"
	// StageExceptions marks the rules that Go itself applies to exceptions.
	StageExceptions Stage = "exceptions"
)

// Severity says how bad it is when a rule is broken.
type Severity string

// The severities, worst first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// Severities lists the severities, worst first.
var Severities = []Severity{Critical, High, Medium, Low}

// Rule describes one deny or warn rule.
type Rule struct {
	// ID is stable: exceptions and reports name it.
	ID          string      `json:"id"`
	Title       string      `json:"title,omitempty"`
	Description string      `json:"description,omitempty"`
	Severity    Severity    `json:"severity"`
	Layer       model.Layer `json:"layer"`
	// Controls name the clauses of published standards that the rule covers.
	Controls []string `json:"controls,omitempty"`
	// Kinds are the kinds that the rule judges; empty means every kind.
	Kinds []string `json:"kinds,omitempty"`
	Stage Stage    `json:"stage"`
	// Warn rules are advice: they never stop anything.
	Warn bool `json:"warn,omitempty"`
	// BuiltIn rules are Strata's own.
	BuiltIn bool   `json:"builtIn"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`

	index int
	name  ast.Var // name of the rule after attribution, see attribute
}

// podKinds are the kinds that hold a pod; rules name them all by "pods".
var podKinds = []string{"CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet"}

var ruleID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{1,62}[A-Za-z0-9]$`)

// annotate fills the rule from its OPA annotations. It returns what is wrong
// with them, in the user's words.
func (r *Rule) annotate(a *ast.Annotations) []string {
	r.Title, r.Description = a.Title, strings.TrimSpace(a.Description)
	var wrong []string
	text := func(key string) string {
		v, ok := a.Custom[key]
		if !ok {
			return ""
		}
		s, ok := v.(string)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("custom.%s must be a string", key))
		}
		return s
	}
	texts := func(key string) []string {
		v, ok := a.Custom[key]
		if !ok {
			return nil
		}
		list, ok := v.([]any)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("custom.%s must be a list of strings", key))
		}
		var out []string
		for _, e := range list {
			s, ok := e.(string)
			if !ok {
				wrong = append(wrong, fmt.Sprintf("custom.%s must be a list of strings", key))
				break
			}
			out = append(out, s)
		}
		return out
	}
	if id := text("id"); id != "" {
		r.ID = id
		if !ruleID.MatchString(id) {
			wrong = append(wrong, fmt.Sprintf("custom.id %q must be letters, digits and '-'", id))
		}
	}
	if s := text("severity"); s != "" {
		r.Severity = Severity(s)
		if !slices.Contains(Severities, r.Severity) {
			wrong = append(wrong, fmt.Sprintf("custom.severity %q must be critical, high, medium or low", s))
		}
	}
	if l := text("layer"); l != "" {
		r.Layer = model.Layer(l)
		if !slices.Contains(model.Layers, r.Layer) {
			wrong = append(wrong, fmt.Sprintf("custom.layer %q must be one of the five layers", l))
		}
	}
	r.Controls = texts("controls")
	for _, k := range texts("kinds") {
		if k == "pods" {
			r.Kinds = append(r.Kinds, podKinds...)
			continue
		}
		r.Kinds = append(r.Kinds, k)
	}
	return wrong
}

// judges reports whether the rule looks at entities of that kind.
func (r *Rule) judges(kind string) bool {
	return len(r.Kinds) == 0 || slices.Contains(r.Kinds, kind)
}
