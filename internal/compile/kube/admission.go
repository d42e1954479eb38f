package kube

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stratahq/strata/internal/addr"
)

// Admission is the input of the unit with the rules that the API server itself holds the
// teams' namespaces to, whoever asks it.
type Admission struct {
	Addr addr.Unit
	// Registries are what names of images begin with, up to a slash.
	Registries []string
	// Images are names that are allowed as they are. Outside local environments they have
	// a digest.
	Images []string
	// Exceptions are those of the environment, from policies/exceptions.yaml.
	Exceptions []Exception
}

// Exception accepts what a rule refuses, up to a day.
type Exception struct {
	// Rule is the policy rule's identifier.
	Rule string
	// Kind, Namespace and Name are of the object, or of the one whose pods are meant; * stands
	// for any run of characters.
	Kind, Namespace, Name string
	Expires               time.Time // the last day
	Owner, Reason         string
}

// admissionRule is one thing that is refused.
type admissionRule struct {
	// ids are the policy rules that say the same of what is rendered: who is excepted from
	// one of them is excepted here.
	ids []string
	// holds is what must be true (CEL).
	holds string
	// says completes "object must ..." for people; it is CEL if cel is set.
	says string
	cel  bool
}

// admissionPolicy is a ValidatingAdmissionPolicy: rules about some kinds of objects.
type admissionPolicy struct {
	name      string
	resources []admissionv1.NamedRuleWithOperations
	variables []admissionv1.Variable
	rules     []admissionRule
}

// podImages are the images of all of a pod's containers.
func podImages(pod string) string {
	list := func(field string) string {
		return pod + ".spec.?" + field + ".orValue([]).map(c, c.?image.orValue(''))"
	}
	return list("containers") + " + " + list("initContainers") + " + " + list("ephemeralContainers")
}

// eachContainer is true when an expression about c is, for all of a pod's containers.
func eachContainer(expression string) string {
	var out []string
	for _, field := range []string{"containers", "initContainers", "ephemeralContainers"} {
		out = append(out, "object.spec.?"+field+".orValue([]).all(c, "+expression+")")
	}
	return strings.Join(out, " && ")
}

// RenderAdmission returns the rules and what binds them to the teams' namespaces. The
// platform's own namespaces are not among these.
func RenderAdmission(env Env, a Admission) ([]Object, error) {
	lab := labels(env, "strata-admission", "policy", "", nil)
	var policies, bindings []Object
	for _, p := range admissionPolicies(env, a) {
		ann := annotations(a.Addr, nil)
		if list := p.excepted(a.Exceptions); len(list) > 0 {
			ann[annotationExceptions] = strings.Join(list, "\n")
		}
		meta := metav1.ObjectMeta{Name: p.name, Labels: lab, Annotations: ann}
		policies = append(policies, p.render(meta, a.Exceptions))
		meta.Annotations = annotations(a.Addr, nil)
		bindings = append(bindings, &admissionv1.ValidatingAdmissionPolicyBinding{
			TypeMeta: gvk(admissionGroup, "ValidatingAdmissionPolicyBinding"), ObjectMeta: meta,
			Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName:        p.name,
				ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny, admissionv1.Audit},
				MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
					MatchLabels:      map[string]string{labelPartOf: env.Platform, LabelEnvironment: env.Name},
					MatchExpressions: []metav1.LabelSelectorRequirement{{Key: LabelTeam, Operator: metav1.LabelSelectorOpExists}},
				}},
			},
		})
	}
	return append(policies, bindings...), nil
}

const (
	admissionGroup = "admissionregistration.k8s.io/v1"
	// annotationExceptions lists for people what a policy accepts, and why.
	annotationExceptions = "strata.dev/exceptions"
)

// admissionPolicies are the rules. When an object is changed, only what is new in it is
// judged: what was there was accepted when it was made.
func admissionPolicies(env Env, a Admission) []admissionPolicy {
	trusted, pinned := []string{"i in " + celList(a.Images)}, []string{"i in " + celList(a.Images)}
	if len(a.Images) == 0 {
		trusted, pinned = nil, nil
	}
	for _, r := range a.Registries {
		trusted = append(trusted, "i.startsWith("+strconv.Quote(r)+")")
	}
	if len(trusted) == 0 {
		trusted = []string{"false"} // nothing is to run here
	}
	pinned = append(pinned, `i.matches('@sha256:[0-9a-f]{64}$')`)
	label := func(key string) string {
		return "object.metadata.?labels[" + strconv.Quote(key) + "].orValue('')"
	}
	was := func(key string) string {
		return "oldObject.metadata.?labels[" + strconv.Quote(key) + "].orValue('')"
	}
	var labelled []admissionRule
	for _, l := range []struct{ key, is string }{
		{labelManagedBy, "'strata'"}, {labelPartOf, strconv.Quote(env.Platform)}, {LabelEnvironment, strconv.Quote(env.Name)}, {LabelTeam, "request.namespace"},
	} {
		labelled = append(labelled, admissionRule{
			holds: label(l.key) + " == " + l.is + " || request.operation == 'UPDATE' && " + was(l.key) + " == " + label(l.key),
			says:  "'the pod must have the label " + l.key + "=' + " + l.is, cel: true,
		})
	}
	labelled = append(labelled, admissionRule{
		holds: label(labelName) + " != '' || request.operation == 'UPDATE' && " + was(labelName) + " == ''",
		says:  "the pod must have the label " + labelName,
	})
	pods := resources("", []string{"pods", "pods/ephemeralcontainers"}, admissionv1.Create, admissionv1.Update)
	services := resources("", []string{"services"}, admissionv1.Create, admissionv1.Update)
	return []admissionPolicy{
		{
			name: "strata-images", resources: pods,
			variables: []admissionv1.Variable{
				{Name: "old", Expression: "request.operation == 'UPDATE' ? " + podImages("oldObject") + " : []"},
				{Name: "images", Expression: "(" + podImages("object") + ").filter(i, !(i in variables.old))"},
			},
			rules: []admissionRule{
				everyImage("images must be of a registry of the platform", trusted),
				everyImage("images must be named by digest", pinned, "image-digest"),
			},
		},
		{name: "strata-labels", resources: pods, rules: labelled},
		{
			name: "strata-privileges", resources: pods,
			rules: []admissionRule{
				{ids: []string{"pss-privileged"}, holds: eachContainer("!c.?securityContext.?privileged.orValue(false)"), says: "containers must not be privileged"},
				{
					ids:   []string{"pss-host-namespaces"},
					holds: "!object.spec.?hostPID.orValue(false) && !object.spec.?hostIPC.orValue(false)", says: "the pod must stay out of the node's namespaces (hostPID, hostIPC)",
				},
				{ids: []string{"pss-host-path"}, holds: "object.spec.?volumes.orValue([]).all(v, !has(v.hostPath))", says: "the pod must not mount folders of the node (hostPath)"},
			},
		},
		{
			name: "strata-host-network", resources: pods,
			rules: []admissionRule{
				{ids: []string{"pss-host-namespaces"}, holds: "!object.spec.?hostNetwork.orValue(false)", says: "the pod must not use the node's network (hostNetwork): traffic enters by the gateway"},
				{
					ids: []string{"pss-host-ports"}, holds: eachContainer("c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0)"),
					says: "containers must not open ports on the node (hostPort): traffic enters by the gateway",
				},
			},
		},
		{
			name: "strata-services", resources: services,
			rules: []admissionRule{
				{
					ids:   []string{"service-exposed"},
					holds: "!(object.spec.?type.orValue('ClusterIP') in ['NodePort', 'LoadBalancer']) || request.operation == 'UPDATE' && oldObject.spec.?type.orValue('') == object.spec.type",
					says:  "'a Service must not be of type ' + object.spec.type + ': traffic enters by the gateway'", cel: true,
				},
				{
					ids:   []string{"service-external-ips"},
					holds: "object.spec.?externalIPs.orValue([]).all(i, request.operation == 'UPDATE' && i in oldObject.spec.?externalIPs.orValue([]))",
					says:  "a Service must not take addresses of its own choosing (externalIPs)",
				},
			},
		},
		{
			name:      "strata-ingresses",
			resources: slices.Concat(resources("networking.k8s.io", []string{"ingresses"}, admissionv1.Create), resources("gateway.networking.k8s.io", []string{"gateways"}, admissionv1.Create)),
			rules: []admissionRule{
				{ids: []string{"service-exposed"}, holds: "false", says: "traffic enters by the platform's gateway: give the workload a route"},
			},
		},
	}
}

// everyImage is the rule that one of the conditions is true of every new image i.
func everyImage(says string, conditions []string, ids ...string) admissionRule {
	is := strings.Join(conditions, " || ")
	return admissionRule{
		ids: ids, holds: "variables.images.all(i, " + is + ")",
		says: "'" + says + ": ' + variables.images.filter(i, !(" + is + ")).join(', ')", cel: true,
	}
}

// resources returns what a policy is about, in all versions.
func resources(group string, names []string, operations ...admissionv1.OperationType) []admissionv1.NamedRuleWithOperations {
	return []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: operations,
		Rule:       admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: names, Scope: ptr(admissionv1.NamespacedScope)},
	}}}
}

// render returns the policy. An exception counts when an object is made, and up to its
// last day: the API server gives no rule the time, but it has written it into the object by
// then, and nobody else can (metadata.creationTimestamp).
func (p admissionPolicy) render(meta metav1.ObjectMeta, exceptions []Exception) Object {
	out := &admissionv1.ValidatingAdmissionPolicy{
		TypeMeta: gvk(admissionGroup, "ValidatingAdmissionPolicy"), ObjectMeta: meta,
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy:    ptr(admissionv1.Fail),
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: p.resources},
			Variables:        p.variables,
		},
	}
	for _, r := range p.rules {
		holds := r.holds
		for _, e := range exceptions {
			if slices.Contains(r.ids, e.Rule) {
				holds = "(" + holds + ") || (" + e.accepts() + ")"
			}
		}
		v := admissionv1.Validation{Expression: holds, Reason: ptr(metav1.StatusReasonForbidden)}
		if r.cel {
			v.MessageExpression = r.says
		} else {
			v.Message = r.says
		}
		out.Spec.Validations = append(out.Spec.Validations, v)
	}
	return out
}

// accepts is true of what the exception is about, while it holds (CEL).
func (e Exception) accepts() string {
	conditions := []string{
		"request.operation == 'CREATE'",
		"timestamp(object.metadata.creationTimestamp) < timestamp(" + strconv.Quote(e.Expires.AddDate(0, 0, 1).UTC().Format(time.RFC3339)) + ")",
		"request.namespace.matches(" + globPattern(e.Namespace) + ")",
	}
	switch e.Kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob":
		// Their pods run as the account of that name.
		conditions = append(conditions, "request.kind.kind == 'Pod'", "object.spec.?serviceAccountName.orValue('').matches("+globPattern(e.Name)+")")
	default:
		conditions = append(conditions, "request.kind.kind.matches("+globPattern(e.Kind)+")", "object.metadata.name.matches("+globPattern(e.Name)+")")
	}
	return strings.Join(conditions, " && ")
}

// excepted says for people what a policy accepts, and why.
func (p admissionPolicy) excepted(exceptions []Exception) []string {
	var out []string
	for _, e := range exceptions {
		if slices.ContainsFunc(p.rules, func(r admissionRule) bool { return slices.Contains(r.ids, e.Rule) }) {
			out = append(out, fmt.Sprintf("%s of %s/%s/%s until %s, by %s: %s", e.Rule, e.Kind, e.Namespace, e.Name, e.Expires.Format(time.DateOnly), e.Owner, e.Reason))
		}
	}
	return out
}

// globPattern returns, as a text of CEL, the regular expression of a text in which *
// stands for any run of characters.
func globPattern(s string) string {
	return strconv.Quote("^" + strings.ReplaceAll(regexp.QuoteMeta(s), `\*`, ".*") + "$")
}

// celList is a list of texts in CEL.
func celList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
