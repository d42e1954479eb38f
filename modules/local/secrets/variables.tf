variable "name" {
  description = "Name of the unit. What is in it is called the same in every environment."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,98}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 100 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "path_prefix" {
  description = "Prefix of all paths of the environment in the store: PLATFORM/ENVIRONMENT."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$", var.path_prefix)) && length(var.path_prefix) <= 256
    error_message = "The path_prefix must be the platform and the environment, joined by '/', without one at its ends."
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
