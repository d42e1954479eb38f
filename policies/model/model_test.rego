package strata.model_test

import data.strata.lib.testing as t
import data.strata.model.deny
import data.strata.model.warn

platform(spec) := {"kind": "Platform", "platform": {"spec": spec}}

env(spec) := {"kind": "Environment", "platform": {"spec": {}}, "environment": {"metadata": {"name": "prod"}, "spec": object.union({"cloud": "aws", "protected": true}, spec)}}

workload(resources) := workload_in({}, resources)

workload_in(spec, resources) := object.union(env(spec), {
	"kind": "Workload",
	"platform": {"spec": {"teams": {"shop": {"contact": "shop@acme.example"}}}},
	"workload": {"metadata": {"name": "web", "team": "shop"}, "resources": resources},
})

test_identity_provider_deny if t.says(deny, "identity provider") with input as platform({})

test_identity_provider_allow if not t.says(deny, "identity provider") with input as platform({"identity": {"issuer": "https://x"}})

test_admin_groups_deny if t.says(deny, `group "Everyone"`) with input as platform({"access": [{"role": "admin", "groups": ["Everyone"]}]})

test_admin_groups_allow if {
	not t.says(deny, "holds everybody") with input as platform({"access": [{"role": "admin", "groups": ["platform"]}]})
	not t.says(deny, "holds everybody") with input as platform({"access": [{"role": "viewer", "groups": ["everyone"]}]})
}

test_approvers_deny if t.says(warn, "at least two people") with input as platform({"people": {"a@b": {}}})

test_approvers_allow if not t.says(warn, "at least two people") with input as platform({"people": {"a@b": {}, "c@d": {}}})

test_protected_approvals_deny if {
	t.says(deny, "at least one approval") with input as env({})
	t.says(deny, "notAuthor") with input as env({"approvals": {"required": 1}})
}

test_protected_approvals_allow if {
	not t.says(deny, "approv") with input as env({"approvals": {"required": 1, "notAuthor": true}})
	not t.says(deny, "approv") with input as env({"protected": false})
}

test_protected_promotion_deny if t.says(deny, "promotes from") with input as env({})

test_protected_promotion_allow if not t.says(deny, "promotes from") with input as env({"promotesFrom": "staging"})

test_environment_tls_deny if t.says(deny, "must not disable TLS") with input as env({"ingress": {"tls": "disabled"}})

test_environment_tls_allow if {
	not t.says(deny, "must not disable TLS") with input as env({"ingress": {"tls": "acme"}})
	not t.says(deny, "must not disable TLS") with input as env({"cloud": "local", "ingress": {"tls": "disabled"}})
}

test_protected_zones_deny if t.says(deny, "at least 2 zones") with input as env({"network": {"zones": 1}})

test_protected_zones_allow if not t.says(deny, "at least 2 zones") with input as env({"network": {}})

test_protected_nat_deny if t.says(deny, "NAT gateway in each zone") with input as env({"network": {"nat": "shared"}})

test_protected_nat_allow if not t.says(deny, "NAT gateway in each zone") with input as env({"network": {"nat": "per-zone"}})

test_cluster_version_deny if t.says(deny, "Kubernetes 1.28") with input as env({"cluster": {"version": "1.28"}})

test_cluster_version_allow if not t.says(deny, "no longer patched") with input as env({"cluster": {"version": "1.35"}})

pools(list) := env({"cluster": {"nodePools": list}})

test_protected_spot_deny if t.says(deny, "without spot") with input as pools([{"name": "a", "min": 2, "spot": true}, {"name": "b", "min": 2, "accelerator": "nvidia-l4"}])

test_protected_spot_allow if not t.says(deny, "without spot") with input as pools([{"name": "a", "min": 2, "spot": true}, {"name": "b", "min": 2}])

test_protected_nodes_deny if t.says(deny, "at least 2 nodes") with input as pools([{"name": "a", "min": 1}, {"name": "g", "min": 4, "accelerator": "x"}])

test_protected_nodes_allow if not t.says(deny, "at least 2 nodes") with input as pools([{"name": "a", "min": 1}, {"name": "b", "min": 1}])

test_state_encryption_deny if t.says(deny, "kmsKey") with input as env({"state": {"backend": "s3"}})

test_state_encryption_allow if {
	not t.says(deny, "kmsKey") with input as env({"state": {"backend": "s3", "kmsKey": "arn:aws:kms:x"}})
	not t.says(deny, "kmsKey") with input as env({"state": {"backend": "azurerm"}})
}

test_state_remote_deny if t.says(deny, "on a local disk") with input as env({"state": {"backend": "local"}})

test_state_remote_allow if not t.says(deny, "on a local disk") with input as env({"cloud": "local", "state": {"backend": "local"}})

test_protected_account_deny if t.says(deny, "share its account") with input as env({"account": {"shareAccount": true}})

test_protected_account_allow if not t.says(deny, "share its account") with input as env({"account": {"id": "111122223333"}})

test_account_budget_deny if t.says(warn, "monthly budget") with input as env({"account": {"create": {"name": "x"}}})

test_account_budget_allow if not t.says(warn, "monthly budget") with input as env({"account": {"create": {"name": "x", "budget": 100}}})

test_workload_owner_deny if {
	t.says(deny, "team with a contact") with input as object.union(workload({}), {"workload": {"metadata": {"team": "ghosts"}}})
}

test_workload_owner_allow if not t.says(deny, "team with a contact") with input as workload({})

test_database_availability_deny if t.says(deny, "database db must be highly available") with input as workload({"db": {"type": "postgres"}})

test_database_availability_allow if {
	not t.says(deny, "must be highly available") with input as workload({"db": {"type": "postgres", "params": {"highAvailability": true}}})
	not t.says(deny, "must be highly available") with input as workload_in({"protected": false}, {"db": {"type": "postgres"}})
}

test_database_backups_deny if t.says(deny, "must keep backups") with input as workload({"db": {"type": "mysql", "params": {"backupDays": 0}}})

test_database_backups_allow if not t.says(deny, "must keep backups") with input as workload({"db": {"type": "mysql", "params": {"backupDays": 14}}})

test_public_autoscaling_deny if {
	t.says(deny, "horizontal-pod-autoscaler") with input as workload({"web": {"type": "route"}})
	t.says(deny, "that can scale") with input as workload({"web": {"type": "route"}, "scale": {"type": "horizontal-pod-autoscaler", "params": {"min": 3, "max": 3}}})
}

test_public_autoscaling_allow if {
	not t.says(deny, "horizontal-pod-autoscaler") with input as workload({"web": {"type": "route", "class": "public"}, "scale": {"type": "horizontal-pod-autoscaler"}})
	not t.says(deny, "horizontal-pod-autoscaler") with input as workload({"web": {"type": "route"}, "scale": {"type": "horizontal-pod-autoscaler", "params": {"min": 3, "max": 12}}})
	not t.says(deny, "horizontal-pod-autoscaler") with input as workload({"web": {"type": "route", "class": "internal"}})
}

test_autoscaling_floor_deny if t.says(deny, "autoscaler scale") with input as workload({"scale": {"type": "horizontal-pod-autoscaler", "params": {"min": 1}}})

test_autoscaling_floor_allow if not t.says(deny, "autoscaler scale") with input as workload({"scale": {"type": "horizontal-pod-autoscaler", "params": {"min": 2}}})

test_public_route_tls_deny if t.says(deny, "has no TLS") with input as workload_in({"ingress": {"tls": "disabled"}}, {"web": {"type": "route", "class": "public"}})

test_public_route_tls_allow if {
	not t.says(deny, "has no TLS") with input as workload_in({"ingress": {"tls": "disabled"}}, {"web": {"type": "route", "class": "internal"}})
	not t.says(deny, "has no TLS") with input as workload({"web": {"type": "route"}})
}

test_schedule_concurrency_deny if t.says(deny, "concurrent runs") with input as workload({"nightly": {"type": "schedule", "params": {"concurrency": "Allow"}}})

test_schedule_concurrency_allow if not t.says(deny, "concurrent runs") with input as workload({"nightly": {"type": "schedule", "params": {"concurrency": "Forbid"}}})

variables(vars) := object.union(workload({}), {"workload": {"containers": {"web": {"variables": vars}}}})

test_variable_secret_deny if t.says(deny, "variable DB_PASSWORD of container web") with input as variables({"DB_PASSWORD": "hunter2"})

test_variable_secret_allow if not t.says(deny, "must come from a resource") with input as variables({"DB_PASSWORD": "${resources.db.password}", "TOKEN_FILE": "/x"})
