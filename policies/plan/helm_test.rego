package strata.plan_test

import data.strata.lib.testing as t
import data.strata.plan.deny

chart(after) := t.plan([t.change("helm_release", after, {}, ["create"])])

test_helm_pinned_deny if {
	t.says(deny, "an exact version") with input as chart({"chart": "istiod", "repository": "https://charts.example", "version": ">= 1.2"})
	t.says(deny, "an exact version") with input as chart({"chart": "istiod", "repository": "https://charts.example", "version": "1"})
	t.says(deny, "an exact version") with input as chart({"chart": "istiod", "repository": "https://charts.example"})
}

test_helm_pinned_allow if {
	not t.says(deny, "an exact version") with input as chart({"chart": "istiod", "repository": "https://charts.example", "version": "1.29.2"})
	not t.says(deny, "an exact version") with input as chart({"chart": "cert-manager", "repository": "https://charts.example", "version": "v1.19.1-rc.1"})
	not t.says(deny, "an exact version") with input as chart({"chart": "../../modules/strata/aws/addons/namespaces"})
	not t.says(deny, "an exact version") with input as t.plan([t.change("helm_release", {"chart": "istiod"}, {"version": true}, ["create"])])
}

test_helm_repository_deny if {
	t.says(deny, "repository must not be fetched over plain HTTP") with input as chart({"chart": "istiod", "repository": "http://charts.example", "version": "1.29.2"})
	t.says(deny, "chart must not be fetched over plain HTTP") with input as chart({"chart": "http://charts.example/istiod.tgz", "version": "1.29.2"})
}

test_helm_repository_allow if {
	not t.says(deny, "over plain HTTP") with input as chart({"chart": "istiod", "repository": "https://charts.example", "version": "1.29.2"})
	not t.says(deny, "over plain HTTP") with input as chart({"chart": "./namespaces"})
}
