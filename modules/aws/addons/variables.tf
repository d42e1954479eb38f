variable "name" {
  description = "Name of the unit, and the beginning of the names of its roles."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,98}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 100 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "platform" {
  description = "Name of the platform, a tag of load balancers."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.platform))
    error_message = "The platform must be a DNS label."
  }
}

variable "environment" {
  description = "Name of the environment, a tag of load balancers."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.environment))
    error_message = "The environment must be a DNS label."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster that the provider helm works in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$", var.cluster_name))
    error_message = "The name must be that of an EKS cluster: letters, digits, hyphens and underscores, at most 100."
  }
}

variable "vpc_id" {
  description = "Network of the cluster, which load balancers are in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^vpc-[0-9a-z]+$", var.vpc_id))
    error_message = "The vpc_id must be the id of a VPC."
  }
}

variable "ingress_domain" {
  description = "Domain of the routes. Without one nothing enters, and there are neither load balancers nor certificates."
  type        = string
  default     = null

  validation {
    condition     = var.ingress_domain == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.ingress_domain))
    error_message = "The domain must be a DNS name in lower case and without a final dot."
  }

  validation {
    condition     = var.ingress_domain == null || (var.zone_id != null && var.zone_name != null)
    error_message = "With an ingress_domain there must be the zone that its names are in: zone_id and zone_name."
  }
}

variable "zone_id" {
  description = "Hosted zone that names of routes and challenges of certificates are written to."
  type        = string
  default     = null

  validation {
    condition     = var.zone_id == null || can(regex("^Z[0-9A-Za-z]+$", var.zone_id))
    error_message = "The zone_id must be the id of a hosted zone."
  }
}

variable "zone_name" {
  description = "Name of that zone, without a final dot."
  type        = string
  default     = null

  validation {
    condition     = var.zone_name == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.zone_name))
    error_message = "The zone must be a DNS name in lower case and without a final dot."
  }
}

variable "acme" {
  description = "Lets cert-manager answer challenges of an ACME service in the zone."
  type        = bool
  default     = false
  nullable    = false
}

variable "istio" {
  description = "Makes Istio's ambient mesh the cluster's."
  type        = bool
  default     = false
  nullable    = false
}

variable "keda" {
  description = "Has KEDA serve external metrics to autoscalers. Nothing else in the cluster may."
  type        = bool
  default     = false
  nullable    = false
}

variable "trust_domain" {
  description = "Trust domain of the identities in Istio's mesh."
  type        = string
  default     = "cluster.local"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9._-]{1,255}$", var.trust_domain))
    error_message = "A trust domain has lower-case letters, digits, dots, hyphens and underscores."
  }
}
