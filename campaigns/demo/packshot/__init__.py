"""Shapes, labels, materials and light for the demo campaign's product photos.

Knows nothing about Proofsheet: it only writes photos and masks into a folder.
"""
