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
  description = "Keeps logs for a year and gives a deleted key 30 days to come back."
  type        = bool
  default     = true
  nullable    = false
}

variable "subnet_ids" {
  description = "Private subnets of the control plane and the nodes, one a zone."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "EKS needs subnets in at least two zones."
  }
}

variable "cluster_version" {
  description = "Kubernetes minor version."
  type        = string
  default     = "1.35"
  nullable    = false

  validation {
    condition     = can(regex("^1\\.[0-9]{1,2}$", var.cluster_version))
    error_message = "The version must be a Kubernetes minor version such as 1.35."
  }
}

variable "node_pools" {
  description = "Groups of equal machines. Instances with an accelerator are NVIDIA's."
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
    condition     = length(distinct([for p in var.node_pools : p.name])) == length(var.node_pools)
    error_message = "Node pools must have different names."
  }

  validation {
    condition     = alltrue([for p in var.node_pools : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", p.name))])
    error_message = "The name of a node pool must be a DNS label."
  }

  validation {
    condition     = alltrue([for p in var.node_pools : can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", p.instance))])
    error_message = "The instance must be one of AWS's types, such as m7g.large."
  }

  validation {
    condition     = alltrue([for p in var.node_pools : p.max >= 1 && coalesce(p.min, 0) <= p.max && coalesce(p.min, 0) >= 0])
    error_message = "A node pool has 0 to max nodes, and max is at least 1."
  }

  validation {
    condition     = alltrue([for p in var.node_pools : p.accelerator == null || can(regex("^nvidia-", p.accelerator))])
    error_message = "Accelerators are NVIDIA's: their names begin with nvidia-, as in nvidia-l4."
  }
}

variable "node_disk" {
  description = "GiB of disk that each node has for images, logs and temporary files."
  type        = number
  default     = 80
  nullable    = false

  validation {
    condition     = var.node_disk >= 20 && var.node_disk <= 16384 && floor(var.node_disk) == var.node_disk
    error_message = "A node's disk has 20 to 16384 GiB."
  }
}

variable "administrators" {
  description = "ARNs of roles that may do everything in the cluster, besides the one that made it."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for a in var.administrators : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/", a))])
    error_message = "Administrators are ARNs of IAM roles."
  }
}

variable "public_access_cidrs" {
  description = "IPv4 ranges from which the API server is reached over the internet as well. Without any it is private."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for c in var.public_access_cidrs : can(cidrhost(c, 0)) && !endswith(c, "/0")])
    error_message = "These must be IPv4 ranges, and not the whole internet."
  }
}

variable "tags" {
  description = "Tags of machines, disks and network interfaces, which the provider's default tags do not reach."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for k in keys(var.tags) : length(k) <= 128 && !startswith(lower(k), "aws:")])
    error_message = "Names of tags have at most 128 characters and do not begin with aws:."
  }
}
