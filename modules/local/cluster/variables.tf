variable "platform" {
  description = "Name of the platform."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]*[a-z0-9])?$", var.platform))
    error_message = "The platform must be lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "environment" {
  description = "Name of the environment. With the platform's and a hyphen it has at most 40 characters."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]*[a-z0-9])?$", var.environment)) && length("${var.platform}-${var.environment}") <= 40
    error_message = "The environment must be lower-case letters, digits and hyphens, and with the platform's name have at most 39 characters: a node's name has no more room."
  }
}

variable "protected" {
  description = "Refuses to delete the cluster."
  type        = bool
  default     = true
  nullable    = false
}

variable "cluster_version" {
  description = "Kubernetes version that the environment is described for. It gets the one that comes with Strata."
  type        = string
  default     = "1.35"
  nullable    = false

  validation {
    condition     = can(regex("^1\\.[0-9]{1,2}$", var.cluster_version))
    error_message = "The version must be a minor version such as 1.35."
  }
}

variable "node_pools" {
  description = "Accepted, and without effect on one machine: it is the one node."
  type = list(object({
    name        = string
    instance    = string
    min         = optional(number, 0)
    max         = number
    accelerator = optional(string)
    spot        = optional(bool, false)
    labels      = optional(map(string), {})
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for p in var.node_pools : p.max >= 1 && p.min >= 0 && p.min <= p.max])
    error_message = "A pool has at least one node at most, and not fewer at most than at least."
  }
}
