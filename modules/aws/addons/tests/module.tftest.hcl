provider "aws" {
  region = "eu-west-1"
}

provider "helm" {
  kubernetes = { host = "https://127.0.0.1" }
}

variables {
  name           = "acme-prod-addons"
  platform       = "acme"
  environment    = "prod"
  cluster_name   = "acme-prod-cluster"
  vpc_id         = "vpc-0123456789abcdef0"
  ingress_domain = "acme.example"
  zone_id        = "Z0123456789ABCDEFGHIJ"
  zone_name      = "acme.example"
  acme           = true
  istio          = true
  keda           = true
  trust_domain   = "prod.acme.example"
}

# It can be made, and unmade in one go.
run "whole_life" {
  command = apply

  assert {
    condition     = length(output.charts) == 9 && alltrue([for name, version in output.charts : version == local.charts[name].version])
    error_message = "Charts are missing, or have another version than the list says."
  }

  assert {
    condition     = alltrue([for c in local.charts : can(regex("^v?[0-9]+\\.[0-9]+\\.[0-9]+$", c.version)) && startswith(c.repository, "https://")])
    error_message = "A version is a range, or a repository is not reached by TLS."
  }

  assert {
    condition     = yamldecode(helm_release.namespaces.values[0]).namespaces == { external-secrets = "restricted", cert-manager = "restricted", aws-load-balancer-controller = "restricted", external-dns = "restricted", istio-system = "privileged", keda = "restricted" }
    error_message = "A namespace has another Pod Security Standard."
  }

  assert {
    condition     = alltrue([for name, a in aws_eks_pod_identity_association.controller : a.namespace == name && a.service_account == name])
    error_message = "A role goes to another service account than the controller's."
  }

  assert {
    condition     = toset(keys(aws_iam_role.controller)) == toset(["aws-load-balancer-controller", "cert-manager", "external-dns"])
    error_message = "Roles are missing, or there are some that nobody needs."
  }

  assert {
    condition     = yamldecode(helm_release.istiod[0].values[0]).meshConfig.trustDomain == "prod.acme.example"
    error_message = "Istio's identities are of another domain than the rules about them."
  }

  assert {
    condition     = yamldecode(helm_release.external_secrets.values[0]).serviceAccount.name == "external-secrets" && helm_release.external_secrets.namespace == "external-secrets"
    error_message = "The module secrets gives its role to another service account."
  }
}

# Nobody writes to other zones, and cert-manager only what challenges need.
run "zones" {
  command = plan

  assert {
    condition     = alltrue([for name in ["cert-manager", "external-dns"] : alltrue([for s in jsondecode(aws_iam_role_policy.controller[name].policy).Statement : s.Action != "route53:ChangeResourceRecordSets" || s.Resource == "arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ"])])
    error_message = "Records of other zones can be changed."
  }

  assert {
    condition     = one([for s in jsondecode(aws_iam_role_policy.controller["cert-manager"].policy).Statement : s.Condition if s.Sid == "Challenges"])["ForAllValues:StringLike"]["route53:ChangeResourceRecordSetsNormalizedRecordNames"] == ["_acme-challenge.*"]
    error_message = "cert-manager can change records of names."
  }
}

# What the load balancer controller changes carries the cluster's name.
run "load_balancers" {
  command = plan

  assert {
    condition     = alltrue([for s in jsondecode(aws_iam_role_policy.controller["aws-load-balancer-controller"].policy).Statement : s.Sid == "Look" || s.Resource != "*"])
    error_message = "Something that changes things is not limited."
  }

  assert {
    condition     = alltrue([for s in jsondecode(aws_iam_role_policy.controller["aws-load-balancer-controller"].policy).Statement : s.Condition.StringEquals["aws:ResourceTag/elbv2.k8s.aws/cluster"] == "acme-prod-cluster" if contains(["Own", "OwnSecurityGroups", "ListenersOfOwn"], s.Sid)])
    error_message = "Load balancers of other clusters can be changed."
  }
}

# Every release is at an exact version, waits, and leaves nothing half done.
run "releases" {
  command = plan

  assert {
    condition     = alltrue([for r in concat([helm_release.namespaces, helm_release.external_secrets], helm_release.cert_manager, helm_release.load_balancer_controller, helm_release.istio_base, helm_release.istiod, helm_release.istio_cni, helm_release.ztunnel, helm_release.keda) : r.atomic])
    error_message = "A release that fails stays half installed."
  }

  assert {
    condition     = alltrue([for r in concat([helm_release.external_secrets], helm_release.cert_manager, helm_release.load_balancer_controller, helm_release.external_dns, helm_release.istiod, helm_release.istio_cni, helm_release.ztunnel) : can(yamldecode(r.values[0]).resources.limits.memory) && can(yamldecode(r.values[0]).resources.requests.memory)])
    error_message = "A controller has no request or no limit of memory."
  }

  assert {
    condition     = alltrue([for r in concat(helm_release.load_balancer_controller, helm_release.external_dns, [helm_release.external_secrets]) : yamldecode(r.values[0]).securityContext.readOnlyRootFilesystem && yamldecode(r.values[0]).securityContext.runAsNonRoot && yamldecode(r.values[0]).securityContext.capabilities.drop == ["ALL"] && yamldecode(r.values[0]).podSecurityContext.seccompProfile.type == "RuntimeDefault"])
    error_message = "A container may do more than it needs."
  }

  assert {
    condition     = alltrue([for part in ["operator", "metricServer", "webhooks"] : yamldecode(helm_release.keda[0].values[0]).securityContext[part].readOnlyRootFilesystem && yamldecode(helm_release.keda[0].values[0]).podSecurityContext[part].seccompProfile.type == "RuntimeDefault" && can(yamldecode(helm_release.keda[0].values[0]).resources[part].limits.memory)])
    error_message = "A container of KEDA may do more than it needs."
  }
}

# An environment that nothing enters has no way in and no role for it.
run "no_ingress" {
  command = plan

  variables {
    ingress_domain = null
    zone_id        = null
    zone_name      = null
    acme           = false
    istio          = false
    keda           = false
  }

  assert {
    condition     = length(aws_iam_role.controller) == 0 && length(helm_release.cert_manager) + length(helm_release.load_balancer_controller) + length(helm_release.external_dns) + length(helm_release.istiod) + length(helm_release.keda) == 0
    error_message = "There is more than External Secrets."
  }

  assert {
    condition     = yamldecode(helm_release.namespaces.values[0]).namespaces == { external-secrets = "restricted" }
    error_message = "There are namespaces for what is not there."
  }
}

# Certificates of one's own CA need nothing in AWS.
run "own_ca" {
  command = plan

  variables {
    acme = false
  }

  assert {
    condition     = !contains(keys(aws_iam_role.controller), "cert-manager") && length(helm_release.cert_manager) == 1
    error_message = "cert-manager has a role that it does not need."
  }
}

run "long_names" {
  command = plan

  variables {
    name = "an-organisation-with-a-long-name-and-an-environment-of-that-kind-addons"
  }

  assert {
    condition     = alltrue([for r in aws_iam_role.controller : length(r.name) <= 64])
    error_message = "The name of a role is too long."
  }
}

run "refuses_ingress_domain" {
  command = plan

  variables {
    zone_id = null
  }

  expect_failures = [var.ingress_domain]
}

run "refuses_inputs" {
  command = plan

  variables {
    name         = "-x"
    platform     = "A"
    environment  = "A"
    cluster_name = "a cluster"
    vpc_id       = "a network"
    zone_id      = "acme"
    zone_name    = "acme"
    trust_domain = "https://acme"
  }

  expect_failures = [var.name, var.platform, var.environment, var.cluster_name, var.vpc_id, var.zone_id, var.zone_name, var.trust_domain]
}
