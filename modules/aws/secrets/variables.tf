variable "name" {
  description = "Name of the unit, from which the names of the key and the reader's role are made."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "The name must be 1 to 40 lower-case letters, digits and hyphens, and begin and end with a letter or digit."
  }
}

variable "path_prefix" {
  description = "Prefix of all paths of the environment in the store: PLATFORM/ENVIRONMENT."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.@+=-]+(/[A-Za-z0-9_.@+=-]+)+$", var.path_prefix)) && length(var.path_prefix) <= 256
    error_message = "The path_prefix must be the platform and the environment, joined by '/', without one at its ends."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster whose External Secrets may read the environment's secrets."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$", var.cluster_name))
    error_message = "The name must be that of an EKS cluster: letters, digits, hyphens and underscores, at most 100."
  }
}

variable "protected" {
  description = "Gives a deleted key 30 days to come back instead of 7."
  type        = bool
  default     = true
  nullable    = false
}
