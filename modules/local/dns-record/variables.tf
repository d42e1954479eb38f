variable "name" {
  description = "Name below the zone, without the zone."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.name) <= 200 && can(regex("^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?$", var.name))
    error_message = "The name must be at most 200 characters of a DNS name such as tools, in lower case."
  }
}

variable "target" {
  description = "Host name that it is another name of. Accepted, and without effect: the node answers to every name of this machine."
  type        = string
  default     = null

  validation {
    condition     = var.target == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.target))
    error_message = "The target must be a full host name without a final dot, in lower case."
  }
}

variable "ttl" {
  description = "Accepted, and without effect on one machine."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.ttl >= 30 && var.ttl <= 86400 && floor(var.ttl) == var.ttl
    error_message = "The ttl must be a whole number of seconds from 30 to 86400."
  }
}

variable "zone_name" {
  description = "The environment's domain: a name below localhost."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+localhost$", var.zone_name))
    error_message = "The domain must be below localhost, such as acme.localhost: other names do not lead to this machine."
  }
}

variable "kubeconfig" {
  description = "File that says how to reach the cluster; a relative path is of the repository."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.kubeconfig) > 0
    error_message = "The kubeconfig must be the path of a file."
  }
}
