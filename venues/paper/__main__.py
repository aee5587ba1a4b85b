"""Start the paper venue without the rest of the product: python -m venues.paper --port 8900 --data DIR."""

import argparse

from venues.paper.server import main, options

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="venues.paper", description="Simulated exchanges on one port")
    options(parser)
    main(parser.parse_args())
