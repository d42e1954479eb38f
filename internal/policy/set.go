package policy

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/stratahq/strata/internal/diag"
)

// Set is a compiled set of rules, safe for concurrent use.
type Set struct {
	rules   []*Rule
	byID    map[string]*Rule
	modules map[string]*ast.Module // parsed and attributed; compilers copy them
	sources []Source
	// forget switches memory off; tests and benchmarks compare with it.
	forget bool

	mu        sync.Mutex
	compilers map[Stage]*ast.Compiler
	shapes    []*shape            // by rule index, filled on first use
	judges    map[judgeKey]*judge // by stage and kind, prepared on first use
}

type judgeKey struct {
	stage Stage
	kind  string
}

func newSet(l *loader) (*Set, error) {
	s := &Set{
		rules: l.rules, modules: l.modules, sources: l.sources, compilers: map[Stage]*ast.Compiler{},
		byID: map[string]*Rule{}, judges: map[judgeKey]*judge{}, shapes: make([]*shape, len(l.rules)),
	}
	for _, r := range l.rules {
		s.byID[r.ID] = r
	}
	for _, r := range exceptionRules {
		if s.byID[r.ID] != nil {
			return nil, fmt.Errorf("rule id %q is Strata's own", r.ID)
		}
		s.byID[r.ID] = r
	}
	return s, nil
}

// compiled returns the compiled rules of a stage with the libraries. The caller
// holds s.mu, or is the only one who knows the Set.
func (s *Set) compiled(stage Stage) (*ast.Compiler, error) {
	if c := s.compilers[stage]; c != nil {
		return c, nil
	}
	modules := map[string]*ast.Module{}
	for name, m := range s.modules {
		if of, judged := stageOf[m.Package.Path.String()]; !judged || of == stage {
			modules[name] = m
		}
	}
	c := newCompiler()
	if c.Compile(modules); c.Failed() {
		return nil, fmt.Errorf("compile rules about %s: %w", stage, c.Errors)
	}
	s.compilers[stage] = c
	return c, nil
}

// Rules lists all rules by stage and id, those that Go applies to exceptions last.
func (s *Set) Rules() []Rule {
	out := make([]Rule, 0, len(s.rules)+len(exceptionRules))
	for _, r := range s.rules {
		out = append(out, *r)
	}
	for _, r := range exceptionRules {
		out = append(out, *r)
	}
	order := map[Stage]int{StageModel: 1, StageObjects: 2, StagePlan: 3, StageExceptions: 4}
	slices.SortStableFunc(out, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(order[a.Stage], order[b.Stage]), strings.Compare(a.ID, b.ID))
	})
	return out
}

// Rule returns the rule of that id.
func (s *Set) Rule(id string) (Rule, bool) {
	if r := s.byID[id]; r != nil {
		return *r, true
	}
	return Rule{}, false
}

// judge holds all rules for one kind, in groups that read alike.
type judge struct{ groups []*group }

// group is a number of rules that are evaluated, and remembered, together.
type group struct {
	rules []*Rule
	query rego.PreparedEvalQuery
	// quiet is what decides whether the rules say anything. Most objects get no
	// further; named also has what the messages show, and is nil when they show
	// nothing else.
	quiet, named *memo
}

// memo remembers what rules said about the values of a shape.
type memo struct {
	shape *shape

	mu   sync.RWMutex
	hits map[string][]hit
	size int
}

func newMemo(s *shape) *memo {
	s.seal()
	return &memo{shape: s, hits: map[string][]hit{}}
}

// maxMemo bounds the bytes of keys that a memo remembers. A full memory is
// dropped: what comes next resembles its neighbours, not what came long before.
const maxMemo = 32 << 20

// hit is one thing that a rule said, without saying about what.
type hit struct {
	rule    *Rule
	msg     string
	address string
	path    diag.Path
	place   string
}

// judgeFor returns the rules for a kind, preparing them when it is asked first.
func (s *Set) judgeFor(ctx context.Context, stage Stage, kind string) (*judge, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := judgeKey{stage, kind}
	if j := s.judges[key]; j != nil {
		return j, nil
	}
	compiler, err := s.compiled(stage)
	if err != nil {
		return nil, err
	}
	bySignature := map[string]*group{}
	reads := map[*group][]*shape{}
	j := &judge{}
	for _, r := range s.rules {
		if r.Stage != stage || !r.judges(kind) {
			continue
		}
		sh := s.shapeOf(r, compiler)
		sig := sh.signature()
		if stage == StagePlan {
			sig = "" // each plan is judged once, in one go
		}
		g := bySignature[sig]
		if g == nil {
			g = &group{}
			bySignature[sig] = g
			j.groups = append(j.groups, g)
		}
		g.rules = append(g.rules, r)
		reads[g] = append(reads[g], sh)
	}
	for _, g := range j.groups {
		quiet, named := &shape{}, &shape{}
		for _, sh := range reads[g] {
			quiet.merge(sh)
			named.merge(sh)
		}
		g.quiet = newMemo(quiet)
		if named.reveal() {
			g.named = newMemo(named)
		}
		var refs []*ast.Term
		for _, r := range g.rules {
			refs = append(refs, ast.RefTerm(ast.DefaultRootDocument, ast.StringTerm("strata"), ast.StringTerm(string(stage)), ast.StringTerm(string(r.name))))
		}
		g.query, err = rego.New(
			rego.Compiler(compiler),
			rego.ParsedQuery(ast.NewBody(ast.Equality.Expr(ast.VarTerm("hits"), ast.ArrayTerm(refs...)))),
		).PrepareForEval(ctx)
		if err != nil {
			return nil, fmt.Errorf("prepare rules for %s %s: %w", stage, kind, err)
		}
	}
	s.judges[key] = j
	return j, nil
}

// shapeOf returns what a rule reads; the caller holds s.mu.
func (s *Set) shapeOf(r *Rule, c *ast.Compiler) *shape {
	if s.shapes[r.index] == nil {
		pkg := ast.Ref{ast.DefaultRootDocument, ast.StringTerm("strata"), ast.StringTerm(string(r.Stage)), ast.StringTerm(string(r.name))}
		s.shapes[r.index] = readsOf(c, c.GetRulesExact(pkg), r.BuiltIn)
	}
	return s.shapes[r.index]
}

// judge evaluates all rules for a kind on a document, which is a struct or
// decoded JSON.
func (s *Set) judge(ctx context.Context, stage Stage, kind string, doc document) ([]hit, error) {
	j, err := s.judgeFor(ctx, stage, kind)
	if err != nil {
		return nil, err
	}
	if len(j.groups) == 0 {
		return nil, nil
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	var out []hit
	for _, g := range j.groups {
		hits, err := s.judgeGroup(ctx, g, doc, buf)
		if err != nil {
			return nil, err
		}
		out = append(out, hits...)
	}
	return out, nil
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

func (s *Set) judgeGroup(ctx context.Context, g *group, doc document, buf *[]byte) ([]hit, error) {
	if s.forget {
		return g.ask(ctx, &memo{shape: wholeShape}, doc, buf)
	}
	hits, err := g.ask(ctx, g.quiet, doc, buf)
	if err != nil || len(hits) == 0 || g.named == nil {
		return hits, err
	}
	return g.ask(ctx, g.named, doc, buf)
}

// ask answers from memory, or evaluates and remembers.
func (g *group) ask(ctx context.Context, m *memo, doc document, buf *[]byte) ([]hit, error) {
	b, err := doc.project((*buf)[:0], m.shape)
	if err != nil {
		return nil, err
	}
	*buf = b
	m.mu.RLock()
	hits, ok := m.hits[string(b)]
	m.mu.RUnlock()
	if ok {
		return hits, nil
	}
	input, err := ast.ValueFromReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read policy input: %w", err)
	}
	hits, err = g.eval(ctx, input)
	if err != nil || m.hits == nil {
		return hits, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size += len(b); m.size > maxMemo {
		m.hits, m.size = map[string][]hit{}, len(b)
	}
	m.hits[string(b)] = hits
	return hits, nil
}

func (g *group) eval(ctx context.Context, input ast.Value) ([]hit, error) {
	results, err := g.query.Eval(ctx, rego.EvalParsedInput(input))
	if err != nil {
		return nil, fmt.Errorf("evaluate policy: %w", err)
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("evaluate policy: %d results instead of one", len(results))
	}
	sets, _ := results[0].Bindings["hits"].([]any)
	var out []hit
	for i, set := range sets {
		elems, _ := set.([]any)
		for _, e := range elems {
			h := hit{rule: g.rules[i]}
			if err := h.read(e); err != nil {
				return nil, fmt.Errorf("rule %s (%s:%d): %w", h.rule.ID, h.rule.File, h.rule.Line, err)
			}
			out = append(out, h)
		}
	}
	return out, nil
}

// read takes an element of deny or warn: a message, or an object with one.
func (h *hit) read(e any) error {
	switch e := e.(type) {
	case string:
		h.msg = e
		return nil
	case map[string]any:
		msg, ok := e["msg"].(string)
		if !ok {
			return fmt.Errorf(`an object in deny or warn needs a string "msg"`)
		}
		h.msg = msg
		h.address, _ = e["address"].(string)
		switch p := e["path"].(type) {
		case string:
			h.place = p
		case []any:
			for _, k := range p {
				switch k := k.(type) {
				case string:
					h.path = append(h.path, k)
				default:
					var n int
					if _, err := fmt.Sscan(fmt.Sprint(k), &n); err != nil {
						return fmt.Errorf(`"path" holds %v; it may hold strings and whole numbers: %w`, k, err)
					}
					h.path = append(h.path, n)
				}
			}
			h.place = h.path.String()
		}
		return nil
	}
	return fmt.Errorf(`deny and warn hold strings, or objects with "msg"; got %T`, e)
}
