"""What an app may consist of: the types of components and traits, and what is wrong with one."""
