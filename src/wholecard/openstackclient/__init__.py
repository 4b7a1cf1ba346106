"""`openstack gpu …`: what asks the cloud, as commands of openstackclient.

Apart from `cli/`: openstackclient finds these by the entry points of the package, and gives them
its own connection, formats and options. Nothing here is imported by `wholecard` itself.
"""
