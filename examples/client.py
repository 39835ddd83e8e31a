"""Ask a model through Weir for one answer, in the Open Inference Protocol.

Start `weir demo --keep` in another terminal, then: python examples/client.py
"""

from __future__ import annotations

import argparse

import httpx

APPLICANT = {
    "loan_amount": 126.0,
    "income": 64.0,
    "loan_to_value": 0.8,
    "housing_ratio": 25.8,
    "obligation_ratio": 33.0,
    "unemployment": 3.2,
    "credit_lines": 12.0,
    "consumer_history": 1.0,
    "mortgage_history": 2.0,
    "schooling": 1.0,
    "self_employed": 0.0,
    "cosigner": 0.0,
    "gift": 0.0,
    "unverified": 0.0,
    "bankruptcy": 0.0,
    "accounts_in_order": 1.0,
    "several_units": 0.0,
}


def main() -> None:
    """Send one applicant and print the score, the version that gave it, and its id."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    url = parser.parse_args().url

    row = list(APPLICANT.values())
    response = httpx.post(
        f"{url}/v2/models/credit/infer",
        headers={"Weir-Key": "applicant-17"},  # the same key always meets the same version
        json={
            "inputs": [
                {"name": "features", "datatype": "FP32", "shape": [1, len(row)], "data": row},
                # Watched, never given to the model:
                {"name": "race", "datatype": "BYTES", "shape": [1], "data": ["white"]},
            ]
        },
    )
    if response.is_error:
        raise SystemExit(f"{response.status_code}: {response.text}")
    outputs = {output["name"]: output["data"] for output in response.json()["outputs"]}
    print(f"probability of approval: {outputs['probabilities'][1]:.3f}")
    print(f"answered by version:     {response.headers['Weir-Version']}")
    print(f"prediction id:           {response.headers['Weir-Prediction-Id']}")


if __name__ == "__main__":
    main()
