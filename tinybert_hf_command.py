"""The command `tinybert`.

It lies beside the package, because importing the package loads torch and transformers: seconds that `tinybert --help`,
a wrong flag and the completion of a word do not need. Where this module is loaded, the package leaves that to the
command that needs a model.
"""


def main() -> None:
    """Entry point of the command `tinybert`."""
    from tinybert_hf.cli import main as command

    command()
