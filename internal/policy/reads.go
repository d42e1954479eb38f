package policy

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// reader finds the shape of a compiled rule by following where values of the
// input can go: `x := input.a[_]` makes x another name for input.a.*, and x.b is
// then a read of input.a.*.b. Wherever a value leaves this simple form (it is an
// operand of a built-in function, part of a composite, the value of a rule, ...)
// all of it counts as read. What is not understood counts as reading everything.
type reader struct {
	compiler *ast.Compiler
	root     *shape
	done     map[*ast.Rule]bool
	// trusted rules are built in: they use displayName for messages alone,
	// which a test of the pack makes sure of.
	trusted bool
}

// displayName is the function by which rules name a container in a message.
const displayName = "data.strata.lib.k8s.name"

// names maps the variables seen so far to the part of the input that they
// name, or to nil when they name something else.
type names map[ast.Var]*shape

func readsOf(c *ast.Compiler, rules []*ast.Rule, trusted bool) *shape {
	r := &reader{compiler: c, root: &shape{}, done: map[*ast.Rule]bool{}, trusted: trusted}
	for _, rule := range rules {
		r.rule(rule, names{})
	}
	return r.root
}

func (r *reader) rule(rule *ast.Rule, env names) {
	for ; rule != nil; rule = rule.Else {
		r.body(rule.Body, env)
		if rule.Head.Key != nil {
			r.read(rule.Head.Key, env)
		}
		if rule.Head.Value != nil {
			r.read(rule.Head.Value, env)
		}
		for _, t := range rule.Head.Reference[min(1, len(rule.Head.Reference)):] {
			r.read(t, env)
		}
	}
}

// once analyses a rule that takes no arguments.
func (r *reader) once(rule *ast.Rule) {
	if r.done[rule] {
		return
	}
	r.done[rule] = true
	env := names{}
	for _, a := range rule.Head.Args {
		r.read(a, env)
	}
	r.rule(rule, env)
}

func (r *reader) body(b ast.Body, env names) {
	for _, e := range b {
		r.expr(e, env)
	}
}

func (r *reader) expr(e *ast.Expr, env names) {
	for _, w := range e.With {
		// The body sees another input than ours.
		r.root.whole = true
		r.read(w.Value, env)
	}
	switch t := e.Terms.(type) {
	case *ast.Term:
		r.read(t, env)
	case *ast.SomeDecl:
		for _, s := range t.Symbols {
			if _, ok := s.Value.(ast.Var); !ok {
				r.read(s, env)
			}
		}
	case *ast.Every:
		if n := r.place(t.Domain, env); n != nil {
			env.see(t.Value, n.elem())
		} else {
			r.read(t.Domain, env)
			env.see(t.Value, nil)
		}
		if t.Key != nil {
			env.see(t.Key, nil)
		}
		r.body(t.Body, env)
	case []*ast.Term:
		r.call(e, t, env)
	default:
		r.root.whole = true
	}
}

// typeChecks read no more of a value than its type.
var typeChecks = map[string]bool{
	ast.IsObject.Name: true, ast.IsArray.Name: true, ast.IsString.Name: true,
	ast.IsNumber.Name: true, ast.IsBoolean.Name: true, ast.IsNull.Name: true,
}

func (env names) see(t *ast.Term, n *shape) {
	if v, ok := t.Value.(ast.Var); ok {
		env[v] = n
	}
}

func (r *reader) call(e *ast.Expr, terms []*ast.Term, env names) {
	op, ok := terms[0].Value.(ast.Ref)
	if !ok {
		r.root.whole = true
		return
	}
	args := terms[1:]
	switch name := op.String(); {
	case !e.Negated && len(args) == 2 && (name == ast.Equality.Name || name == ast.Assign.Name):
		if !r.bind(args[0], args[1], env) && !r.bind(args[1], args[0], env) {
			r.read(args[0], env)
			r.read(args[1], env)
		}
	case name == ast.ObjectGet.Name && len(args) >= 3 && r.member(args[0], args[1], env):
		for _, a := range args[2:] {
			r.read(a, env)
		}
	case (name == ast.StartsWith.Name || name == ast.EndsWith.Name) && len(args) >= 2 && r.affix(name, args[0], args[1], env):
		for _, a := range args[2:] {
			r.read(a, env)
		}
	case typeChecks[name]:
		for _, a := range args {
			// The value that stands for an unread one has its type.
			if r.place(a, env) == nil {
				r.read(a, env)
			}
		}
	case name == displayName && r.trusted && len(args) == 2 && r.place(args[0], env) != nil:
		r.place(args[0], env).key("name").shown = true
		r.read(args[1], env)
	case len(op) > 0 && op[0].Equal(ast.DefaultRootDocument):
		r.function(op, args, env)
	default:
		for _, a := range args {
			r.read(a, env)
		}
	}
}

// bind makes a variable that occurs for the first time another name for the
// place that value names.
func (r *reader) bind(variable, value *ast.Term, env names) bool {
	v, ok := variable.Value.(ast.Var)
	if !ok || v == ast.InputRootDocument.Value {
		return false
	}
	if _, seen := env[v]; seen {
		return false
	}
	if w, ok := value.Value.(ast.Var); ok && w == v {
		return false
	}
	n := r.place(value, env)
	if n == nil {
		r.read(value, env)
	}
	// Reading the value may have met the variable itself.
	if _, seen := env[v]; seen {
		if n != nil {
			n.whole = true
		}
		n = nil
	}
	env[v] = n
	return true
}

// member handles object.get with a constant key or path.
func (r *reader) member(object, key *ast.Term, env names) bool {
	n := r.place(object, env)
	if n == nil {
		return false
	}
	switch k := key.Value.(type) {
	case ast.String:
		n.key(string(k)).whole = true
		return true
	case *ast.Array:
		constant := true
		k.Foreach(func(t *ast.Term) {
			switch t.Value.(type) {
			case ast.String, ast.Number:
			default:
				constant = false
			}
		})
		if !constant || k.Len() == 0 {
			return false
		}
		k.Foreach(func(t *ast.Term) {
			if s, ok := t.Value.(ast.String); ok {
				n = n.key(string(s))
			} else {
				n = n.elem()
			}
		})
		n.whole = true
		return true
	}
	return false
}

// affix handles startswith and endswith with a constant.
func (r *reader) affix(name string, text, constant *ast.Term, env names) bool {
	c, ok := constant.Value.(ast.String)
	if !ok || c == "" {
		return false
	}
	n := r.place(text, env)
	if n == nil {
		return false
	}
	if name == ast.StartsWith.Name {
		n.prefixes = append(n.prefixes, string(c))
	} else {
		n.suffixes = append(n.suffixes, string(c))
	}
	return true
}

// function follows a call of a function written in Rego into its body.
func (r *reader) function(op ast.Ref, args []*ast.Term, env names) {
	rules := r.compiler.GetRulesExact(op)
	if len(rules) == 0 {
		r.root.whole = true
	}
	places := make([]*shape, len(args))
	for i, a := range args {
		if places[i] = r.place(a, env); places[i] == nil {
			r.read(a, env)
		}
	}
	for _, rule := range rules {
		for e := rule; e != nil; e = e.Else {
			inner := names{}
			for i, p := range e.Head.Args {
				v, isVar := p.Value.(ast.Var)
				_, twice := inner[v]
				switch {
				case i < len(args) && isVar && !twice:
					inner.see(p, places[i])
				default: // a pattern, or a repeated variable, compares its argument
					if i < len(args) && places[i] != nil {
						places[i].whole = true
					}
					r.read(p, inner)
				}
			}
			one := *e
			one.Else = nil
			r.rule(&one, inner)
		}
		for i := len(rule.Head.Args); i < len(args); i++ { // the result
			if places[i] != nil {
				places[i].whole = true
			}
		}
	}
}

// place returns the part of the input that a term names, or nil.
func (r *reader) place(t *ast.Term, env names) *shape {
	switch v := t.Value.(type) {
	case ast.Var:
		if v == ast.InputRootDocument.Value {
			return r.root
		}
		return env[v]
	case ast.Ref:
		if len(v) == 0 {
			return nil
		}
		head, ok := v[0].Value.(ast.Var)
		if !ok {
			return nil
		}
		n := env[head]
		if head == ast.InputRootDocument.Value {
			n = r.root
		}
		if n == nil {
			return nil
		}
		for _, p := range v[1:] {
			switch k := p.Value.(type) {
			case ast.String:
				n = n.key(string(k))
			case ast.Number, ast.Boolean, ast.Null:
				n = n.elem()
			default:
				r.read(p, env)
				n = n.elem()
			}
		}
		return n
	}
	return nil
}

// read marks all that a term names as read.
func (r *reader) read(t *ast.Term, env names) {
	if n := r.place(t, env); n != nil {
		n.whole = true
		return
	}
	switch v := t.Value.(type) {
	case ast.Var:
		if v == ast.DefaultRootDocument.Value {
			r.root.whole = true
			return
		}
		env[v] = nil
	case ast.Ref:
		if len(v) > 0 && v[0].Equal(ast.DefaultRootDocument) {
			for _, rule := range r.compiler.GetRulesDynamicWithOpts(v, ast.RulesOptions{}) {
				r.once(rule)
			}
			v = v[1:]
		}
		for _, p := range v {
			r.read(p, env)
		}
	case *ast.Array:
		v.Foreach(func(t *ast.Term) { r.read(t, env) })
	case ast.Set:
		v.Foreach(func(t *ast.Term) { r.read(t, env) })
	case ast.Object:
		v.Foreach(func(k, t *ast.Term) { r.read(k, env); r.read(t, env) })
	case *ast.ArrayComprehension:
		r.body(v.Body, env)
		r.read(v.Term, env)
	case *ast.SetComprehension:
		r.body(v.Body, env)
		r.read(v.Term, env)
	case *ast.ObjectComprehension:
		r.body(v.Body, env)
		r.read(v.Key, env)
		r.read(v.Value, env)
	case ast.String, ast.Number, ast.Boolean, ast.Null:
	default:
		r.root.whole = true
	}
}
