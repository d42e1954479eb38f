variable "name" {
  description = "Name of the unit, and the beginning of the names of what is in it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,98}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 100 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "protected" {
  description = "Refuses to delete or replace what holds data."
  type        = bool
  default     = true
  nullable    = false
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

variable "secret_store" {
  description = "Secret store of the environment."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.secret_store, "kubernetes:")
    error_message = "The store must be one in a cluster, such as kubernetes:strata-secrets."
  }
}

variable "secret_path" {
  description = "Path below which the unit's secrets are kept in the store."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9/_.-]{0,399}$", var.secret_path))
    error_message = "The path must be letters, digits and / _ . -, at most 400, and not begin with a slash."
  }
}

variable "size" {
  description = "Memory of the broker: small (512 MiB), medium (1 GiB), large (2 GiB), xlarge (4 GiB). Processors are shared."
  type        = string
  default     = "small"
  nullable    = false

  validation {
    condition     = contains(["small", "medium", "large", "xlarge"], var.size)
    error_message = "The size must be small, medium, large or xlarge."
  }
}

variable "high_availability" {
  description = "Accepted, and without effect on one machine."
  type        = bool
  default     = null
}

variable "maintenance_window" {
  description = "Accepted, and without effect on one machine."
  type        = string
  default     = "Sun 03:00"
  nullable    = false

  validation {
    condition     = can(regex("^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01][0-9]|2[0-3]):[0-5][0-9]$", var.maintenance_window))
    error_message = "The window must be a day and a time such as \"Sun 03:00\"."
  }
}

variable "queues" {
  description = "Durable queues to declare."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for q in var.queues : can(regex("^[A-Za-z0-9_.:-]{1,127}$", q))])
    error_message = "Names of queues are letters, digits and _ . : -."
  }
}
